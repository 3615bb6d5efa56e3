// defines: TrainOptions, the options that training commands share, and what becomes of them
#pragma once

#include <limits>

#include "data/cache.hpp"
#include "data/split.hpp"
#include "tools/ptrain/cli.hpp"
#include "train/fit.hpp"

namespace ptrain::cli {

struct DataOptions {
  std::string data;
  std::string group_regex, group_csv;
  std::string cache = "automatic";
  int64_t cache_memory = 0;  // MiB; 0: half of what is free
  std::string bad_images = "fail";
};

// --batch auto, until decide_automatic() has put a number there.
inline constexpr int64_t kAutomatic = std::numeric_limits<int64_t>::min();

struct TrainOptions {
  DataOptions data;
  std::string net = "mobilenet_v2", weights, out;
  int64_t epochs = 10, fine_tune_epochs = 10;
  double fine_tune_top = 0.3;
  std::string freeze_until;
  double lr = 1e-3, fine_tune_lr = 1e-5;
  int64_t batch = 32;  // or kAutomatic
  std::string augment = "light", fine_tune_augment;
  std::string class_weights = "auto", monitor = "val_loss";
  int64_t patience = 3;
  double min_delta = 0;
  std::string bn = "inference", positive;
  bool resume = false, dry_run = false;
  double val_fraction = 0.15, fraction = 1;
  std::string split;
  std::vector<int64_t> dense = {256, 128};
  std::vector<double> dropout = {0.5, 0.3};
  double l2 = 1e-4;
  std::string optimizer = "adam";
  double momentum = 0, weight_decay = 0;
  ScheduleOptions schedule;
  int64_t image_size = 0;  // 0: the net's own
  std::string precision = "fp32", device = "auto", conv = "auto";
  int64_t threads = 0;  // 0: all processors
  uint64_t seed = 0;
  std::string operating_point = "youden";
  bool override_lock = false;
  bool json = false, quiet = false;
};

void bind(Command& command, DataOptions& options);
void bind(Command& command, TrainOptions& options);
void bind_training(Command& command, TrainOptions& options);  // all of them but --net and --weights

inline constexpr const char* kDeviceHelp = "auto (a GPU when there is one), cpu, reference, cuda[:N], cuda-sim";
// The device of --device, which computes 3×3 convolutions as --conv says when it is the cpu: how every command gets its device.
// Error{usage} for names that are not known, Error{device} for a device that is not there.
std::shared_ptr<Memory> chosen_device(const std::string& device, const std::string& conv);
void choose_convolutions(Backend& backend, const std::string& conv);  // the second half of it, for a backend that was made otherwise
inline constexpr const char* kConvHelp =
    "3x3 convolutions on the CPU: auto (Winograd by a fixed table of costs), direct, winograd, autotune (both are measured)";
int choose_threads(int64_t asked);                 // 0: the processors that this process may use
DType compute_type(const std::string& precision);  // fp32, bf16, fp16; Error{usage} for all others
// The same for a device: Error{usage} for fp16 on a CPU, Error{device} for bf16 on a GPU that is too old.
DType compute_type(const std::string& precision, const Memory& memory);
std::shared_ptr<Backend> resizer_for(const Memory& memory);  // one whose memory the host can read
int workers_for(const Memory& memory, int threads);          // one stream on a GPU: threads are for decoding there
PatientRule patient_rule(const DataOptions&);
CacheOptions cache_options(const DataOptions&, int64_t h, int64_t w, int threads);
OptimizerRule optimizer_rule(const TrainOptions&);
int positive_class(const std::string& name, const std::vector<std::string>& classes);                          // "": the last
int class_named(const std::string& option, const std::string& name, const std::vector<std::string>& classes);  // Error{usage} lists them
FitOptions fit_options(const TrainOptions&, const Model& model);
std::string version();

}  // namespace ptrain::cli
