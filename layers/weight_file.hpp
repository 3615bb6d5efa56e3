// defines: the HDF5 model file: /weights/<layer>/<weight>, attributes, and /state for checkpoints
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "layers/hdf5.hpp"  // Attribute, Attributes
#include "layers/params.hpp"

namespace ptrain {

constexpr int64_t kModelFormatVersion = 1;  // the attribute `format_version`, written and checked here

// Writes one file as a whole or not at all: a temporary name beside the target, fsync, rename, fsync of the folder. Without
// commit() nothing is left behind and a file that was there before is untouched. Errors (full disk, no permission) name the path.
class WeightFileWriter {
 public:
  explicit WeightFileWriter(std::filesystem::path path);
  ~WeightFileWriter();
  WeightFileWriter(const WeightFileWriter&) = delete;
  WeightFileWriter& operator=(const WeightFileWriter&) = delete;

  void weight(const std::string& layer, const std::string& weight, const Shape& shape, std::span<const float> values);
  // The same in pieces: whole rows of the first dimension, in order, until the shape is full.
  void begin_weight(const std::string& layer, const std::string& weight, const Shape& shape);
  void rows(std::span<const float> values);
  // Any dataset below /state: "optimizer/head_1/kernel/m", "history", …; dtype float32, float64, int32 or uint8.
  void state(const std::string& name, DType dtype, const Shape& shape, const void* values);
  void attribute(const std::string& name, const Attribute& value);  // of the file; a second one of that name replaces the first
  // `meanwhile` runs on a thread of its own while this one waits for the disk; when it throws, nothing was saved.
  void commit(const std::function<void()>& meanwhile = {});

  // Layout first: all attributes, then room for everything, then lay_out(), then begin_weight() and rows() in any order and text(). So
  // the file becomes final from its beginning to its end, and a reader of fd() may follow behind the writer (to hash it, say).
  void reserve_weight(const std::string& layer, const std::string& weight, const Shape& shape);
  void reserve_text(const std::string& name, int64_t bytes);  // beside /weights; for what is known only at the end, unlike attributes
  void lay_out();
  void text(const std::string& name, const std::string& value);
  uint64_t final_bytes() const;  // after lay_out(): so many bytes will not change any more; all of them once every value is written
  int fd() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct StoredTensor {
  std::string layer, weight;
  Shape shape;
  std::string key() const { return layer + "/" + weight; }
};

// Reads a model file, which may come from a stranger: links, virtual and external datasets, types that are not float, and shapes
// larger than the stored bytes allow are refused before anything is allocated. All errors are Error{weights} and name the path.
class WeightFileReader {
 public:
  explicit WeightFileReader(std::filesystem::path path);
  ~WeightFileReader();
  WeightFileReader(const WeightFileReader&) = delete;
  WeightFileReader& operator=(const WeightFileReader&) = delete;

  const std::filesystem::path& path() const;
  const std::vector<StoredTensor>& tensors() const;  // in the order in which they were written
  void read(const StoredTensor& tensor, std::span<float> to) const;
  const Attributes& attributes() const;
  bool has_attribute(const std::string& name) const;
  const std::string& text(const std::string& name) const;  // an attribute; throws when absent or of another type
  int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;
  const std::vector<std::string>& texts(const std::string& name) const;

  std::vector<std::string> state_names() const;  // everything below /state
  struct State {
    DType dtype;
    Shape shape;
    std::vector<char> bytes;
  };
  State state(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Fills every parameter of `params` from the file, or changes nothing and throws one Error{weights} that lists all missing, all
// unused and all misshapen names. Layers for which `leave_out(layer)` holds are ignored in the file (a top that is not wanted), layers for
// which `leave_alone(layer)` holds are not asked for in the file (a new head). Returns the names of the layers that were left out.
struct LoadOptions {
  std::function<bool(const std::string& layer)> leave_out = [](const std::string&) { return false; };
  std::function<bool(const std::string& layer)> leave_alone = [](const std::string&) { return false; };
  std::string into = "the net";  // its name, for messages
};
std::vector<std::string> load_weights(Params& params, const WeightFileReader& file, const LoadOptions& options = {});
void save_weights(const Params& params, WeightFileWriter& file);

}  // namespace ptrain
