// defines: CudaBackend: convolutions by cuDNN's graph API, products by cuBLAS, everything else by our own kernels (kernels.hpp).
//
// All work of a backend goes to one compute stream, whichever Exec it is given to: what is given later sees what was given before, so
// memory can be handed on at once. Uploads travel on a second stream, through pinned memory, while the first computes.
#pragma once

#include <map>
#include <mutex>

#include "kernels/backend.hpp"
#include "kernels/cuda/conv_graph.hpp"
#include "kernels/cuda/handles.hpp"

namespace ptrain::cuda {

// Given to cuBLAS beforehand, so that it allocates nothing while a step is recorded; the size that NVIDIA advises for sm_90.
constexpr size_t kCublasWorkspace = 32 << 20;

// What the environment asks for.
struct Options {
  bool tf32 = false;     // PTRAIN_TF32=1: float32 products in TF32
  std::string autotune;  // PTRAIN_AUTOTUNE=FILE: measure the plans of each convolution, once, and keep what won in that file
  int debug = 0;         // PTRAIN_DEBUG=3: wait after every operation and look for non-finite results
  bool graphs = true;    // PTRAIN_GRAPHS=0: nothing is recorded
  static Options from_environment();
};

class CudaBackend;

// A stream with what belongs to it: the libraries remember their stream.
struct Lane {
  explicit Lane(bool tf32);
  Stream stream{cudaStreamNonBlocking};
  Cublas cublas;
  Cudnn cudnn;
};

class CudaExec final : public Exec {
 public:
  CudaExec(CudaBackend& backend, int threads) : Exec(threads), backend_(backend) {}  // how many host threads there are plays no part
  ~CudaExec() override;
  void* scratch(int64_t bytes) override;
  void* draws(int64_t bytes);  // the same for what the host draws for each image, beside the scratch of the kernels
  void synchronize() override;

 private:
  friend class CudaBackend;
  struct Block {
    void* data = nullptr;
    int64_t size = 0;
  };
  void* grown(Block& block, int64_t bytes);

  CudaBackend& backend_;
  Block scratch_, draws_;
  bool recording_ = false;
};

// Uploads: host memory → pinned memory → the device's own staging memory (on the copy stream, beside the computation) → where it
// belongs (on the compute stream, when it is its turn). Two of each, so that the next upload is prepared while the last one travels.
class Uploader {
 public:
  explicit Uploader(cudaStream_t compute);
  ~Uploader();
  void upload(const void* host, void* device, int64_t bytes);

 private:
  static constexpr int64_t kPiece = 8 << 20;
  struct Slot {
    void *pinned = nullptr, *device = nullptr;
    Event arrived{cudaEventDisableTiming}, used{cudaEventDisableTiming};
  };
  cudaStream_t compute_;
  Stream copy_{cudaStreamNonBlocking};
  Slot slots_[2];
  int next_ = 0;
};

class CudaBackend final : public Backend, public std::enable_shared_from_this<CudaBackend> {
 public:
  CudaBackend(int device, Options options);
  ~CudaBackend() override;

  // memory.cpp
  std::string name() const override;
  bool supports(DType) const override;  // float32, float16; bfloat16 from sm_80 on; uint8, int32
  bool is_host() const override { return false; }
  std::unique_ptr<Exec> make_exec(int threads) override;
  void* allocate(int64_t bytes) override;
  void release(void* data, int64_t bytes) noexcept override;
  MemoryInfo memory_info() const override;

  bool records() const override { return options_.graphs && options_.debug < 3; }
  cudaStream_t stream() const { return lane_.stream; }
  void use() const;                                           // makes the device current on this thread
  void not_recording(const Exec& e, const char* what) const;  // Error{device} while the work of e is recorded

 protected:
  void do_upload(Exec&, const void* host, Buffer to) override;
  void do_download(Exec&, Buffer from, void* host) override;
  void do_copy(Exec&, Buffer from, Buffer to) override;

  // recording.cpp
  std::unique_ptr<Recording> do_record(Exec&, const std::function<void()>& work) override;
  void do_replay(Exec&, const Recording&) override;

  // conv.cpp, fused.cpp
  void do_conv_forward(Exec&, const ConvShape&, Buffer x, Buffer w, Buffer y) override;
  void do_conv_backward_data(Exec&, const ConvShape&, Buffer dy, Buffer w, Into dx) override;
  void do_conv_backward_filter(Exec&, const ConvShape&, Buffer x, Buffer dy, Into dw) override;
  std::shared_ptr<const PackedWeights> do_pack_conv(Exec&, const Fused<ConvShape>&, Buffer w, Buffer scale, Buffer shift) override;
  std::shared_ptr<const PackedWeights> do_pack_depthwise(Exec&, const Fused<DepthwiseShape>&, Buffer w, Buffer scale,
                                                         Buffer shift) override;
  void do_conv_bn_act(Exec&, const Fused<ConvShape>&, Buffer x, const PackedWeights&, Buffer residual, Buffer y) override;
  void do_depthwise_bn_act(Exec&, const Fused<DepthwiseShape>&, Buffer x, const PackedWeights&, Buffer residual, Buffer y) override;

  // dense.cpp
  void do_dense_forward(Exec&, const DenseShape&, Buffer x, Buffer w, Buffer y) override;
  void do_dense_backward_data(Exec&, const DenseShape&, Buffer dy, Buffer w, Into dx) override;
  void do_dense_backward_filter(Exec&, const DenseShape&, Buffer x, Buffer dy, Into dw) override;

  // layers.cpp
  void do_depthwise_forward(Exec&, const DepthwiseShape&, Buffer x, Buffer w, Buffer y) override;
  void do_depthwise_backward_data(Exec&, const DepthwiseShape&, Buffer dy, Buffer w, Into dx) override;
  void do_depthwise_backward_filter(Exec&, const DepthwiseShape&, Buffer x, Buffer dy, Into dw) override;
  void do_bias_act_forward(Exec&, RowShape, Act, Buffer x, Buffer b, Buffer y) override;
  void do_bias_backward(Exec&, RowShape, Buffer dy, Into db) override;
  void do_norm_train_forward(Exec&, const NormShape&, const NormTrain&) override;
  void do_norm_apply(Exec&, const NormShape&, const NormApply&) override;
  void do_norm_infer_forward(Exec&, const NormShape&, const NormInfer&) override;
  void do_norm_train_backward(Exec&, const NormShape&, const NormBackward&) override;
  void do_norm_infer_backward(Exec&, const NormShape&, const NormBackward&) override;
  void do_max_pool_forward(Exec&, const PoolShape&, Buffer x, Buffer y, Buffer argmax, Act x_act) override;
  void do_max_pool_backward(Exec&, const PoolShape&, Buffer argmax, Buffer dy, Into dx) override;
  void do_avg_pool_forward(Exec&, const PoolShape&, Buffer x, Buffer y) override;
  void do_avg_pool_backward(Exec&, const PoolShape&, Buffer dy, Into dx) override;
  void do_global_avg_pool_forward(Exec&, int64_t n, RowShape image, Buffer x, Buffer y) override;
  void do_global_avg_pool_backward(Exec&, int64_t n, RowShape image, Buffer dy, Into dx) override;

  // simple.cpp
  void do_act_forward(Exec&, Act, Buffer x, Buffer y) override;
  void do_act_backward(Exec&, Act, Buffer y, Buffer dy, Into dx) override;
  void do_add_act(Exec&, Act, Buffer a, Buffer b, Buffer y) override;
  void do_add_scaled(Exec&, double factor, Buffer x, Buffer y) override;
  void do_scale_shift_act(Exec&, const ScaleShiftShape&, Buffer x, Buffer scale, Buffer shift, Buffer y) override;
  void do_dropout(Exec&, const DropoutShape&, Buffer x, Buffer samples, Buffer epoch, Into y) override;
  void do_cast(Exec&, Buffer x, Buffer y) override;
  void do_fill(Exec&, double value, Buffer y) override;
  void do_random_uniform(Exec&, uint64_t seed, uint32_t layer, double low, double high, Buffer y) override;
  void do_zero_pad_forward(Exec&, const PadShape&, Buffer x, Buffer y) override;
  void do_zero_pad_backward(Exec&, const PadShape&, Buffer dy, Into dx) override;
  void do_copy_channels(Exec&, const ChannelCopy&, Buffer from, Into to) override;
  void do_softmax(Exec&, SoftmaxShape, Buffer logits, Buffer p) override;
  void do_softmax_cross_entropy_forward(Exec&, SoftmaxShape, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses,
                                        Into loss) override;
  void do_softmax_cross_entropy_backward(Exec&, SoftmaxShape, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss,
                                         Into dlogits) override;
  void do_sum_squares(Exec&, double factor, Buffer x, Into sum) override;
  void do_optimizer_step(Exec&, const OptimizerRule&, std::span<const OptimizerSlot>, const StepState&) override;
  void do_unscale(Exec&, std::span<const OptimizerSlot>, Buffer scale, Buffer finite) override;
  void do_update_loss_scale(Exec&, const LossScaleState&, Buffer finite) override;
  void do_all_finite(Exec&, Buffer x, Buffer finite) override;
  void do_augment(Exec&, const AugmentShape&, std::span<const AugmentImage> images, Buffer x, const Preprocess&, Buffer y) override;
  void do_resize_bilinear(Exec&, const ResizeShape&, Buffer x, Buffer y) override;

 private:
  // Where the work of an Exec goes: the compute stream, or while it is recorded the stream that is captured.
  Lane& lane_of(const Exec& e) { return static_cast<const CudaExec&>(e).recording_ ? *recorded_lane_ : lane_; }

  // Runs work(stream) with the device current. An error says which operation of which layer; with PTRAIN_DEBUG=3 the results are
  // waited for and searched for non-finite values.
  template <class F>
  void run(Exec& e, const char* op, std::initializer_list<Buffer> results, F&& work);
  [[noreturn]] void explain(const Exec& e, const char* op, const Error& error) const;
  void inspect(std::initializer_list<Buffer> results);

  void upload_bytes(const void* host, void* device, int64_t bytes);

  // plans.cpp. A plan of cuDNN, from the cache if it is there; nullptr: cuDNN has none that is worth it.
  const ConvPlan* plan(const ConvKey& key);
  std::unique_ptr<ConvPlan> measured_plan(const ConvKey& key);
  void execute(Exec& e, const ConvPlan& plan, const ConvPlan::Pointers& pointers);
  struct Prepared;
  Prepared prepare(ConvKey key);
  ConvKey conv_key(ConvKind kind, const ConvShape& s, DType type, std::initializer_list<Buffer> buffers) const;

  void gemm(Exec& e, bool a_transposed, bool b_transposed, int64_t m, int64_t n, int64_t k, Buffer a, int64_t lda, Buffer b, int64_t ldb,
            Into c, int64_t ldc);

  int device_;
  Options options_;
  int major_ = 0, minor_ = 0;
  std::mutex handles_;  // guards the handles and the plans: they are for one thread at a time
  Lane lane_;
  std::mutex recording_;  // one Exec is recorded at a time
  std::unique_ptr<Lane> recorded_lane_;
  void* cublas_workspace_ = nullptr;
  Descriptor properties_;
  std::map<ConvKey, std::unique_ptr<ConvPlan>> plans_;
  std::map<std::string, int64_t> measured_;  // what autotune chose, by key: the engine
  bool measured_read_ = false;
  std::mutex uploading_;
  std::unique_ptr<Uploader> uploader_;
};

template <class F>
void CudaBackend::run(Exec& e, const char* op, std::initializer_list<Buffer> results, F&& work) {
  use();
  try {
    work(cudaStream_t(lane_of(e).stream));
    if (options_.debug >= 3) inspect(results);
  } catch (const Error& error) {
    explain(e, op, error);
  }
}

}  // namespace ptrain::cuda
