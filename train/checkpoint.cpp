#include "train/checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <sstream>

namespace ptrain {
namespace {

// Numbers in the order of the calls; the same calls write and read them.
class Packer {
 public:
  Packer() = default;
  explicit Packer(std::vector<double> values) : values_(std::move(values)), reading_(true) {}

  void number(double& v) {
    if (!reading_) return values_.push_back(v);
    if (next_ == values_.size()) fail(ErrorKind::weights, "the position in the checkpoint is too short: it was written by another version");
    v = values_[next_++];
  }
  void number(int64_t& v) {
    double d = double(v);
    number(d);
    v = int64_t(d);
  }
  void number(bool& v) {
    double d = v;
    number(d);
    v = d != 0;
  }
  template <class T>
  void number(std::optional<T>& v) {
    bool there = v.has_value();
    number(there);
    T value = v.value_or(T{});
    number(value);
    v = there ? std::optional<T>(value) : std::nullopt;
  }
  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<double> values_;
  size_t next_ = 0;
  bool reading_ = false;
};

void pack(Packer& p, Position& s) {
  p.number(s.stage), p.number(s.stage_epoch), p.number(s.epoch), p.number(s.step);
  p.number(s.totals.loss), p.number(s.totals.images), p.number(s.totals.correct);
  p.number(s.stopping.best), p.number(s.stopping.kept), p.number(s.stopping.best_epoch), p.number(s.stopping.wait),
      p.number(s.stopping.stopped_epoch), p.number(s.stopping.stop);
  p.number(s.plateau.best), p.number(s.plateau.wait), p.number(s.plateau.cooldown_counter), p.number(s.plateau_rate);
  p.number(s.best_value), p.number(s.best_epoch);
  p.number(s.totals.skipped);
}

template <class T>
std::vector<T> read_array(const WeightFileReader& file, const std::string& name, DType dtype) {
  const WeightFileReader::State stored = file.state(name);
  if (stored.dtype != dtype) fail(ErrorKind::weights, "the checkpoint's /state/", name, " has another type than ", str(dtype));
  std::vector<T> values(stored.bytes.size() / sizeof(T));
  std::memcpy(values.data(), stored.bytes.data(), values.size() * sizeof(T));
  return values;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const Model& model, const Attributes& extra, const Position& position,
                     Stepper& stepper) {
  WeightFileWriter file(path);
  write_model(model, file);
  for (const auto& [name, value] : extra) file.attribute(name, value);
  Packer p;
  Position copy = position;
  pack(p, copy);
  const auto array = [&](const char* name, DType dtype, const auto& values) {
    file.state(name, dtype, {int64_t(values.size())}, values.data());
  };
  array("position", DType::float64, p.values());
  array("epoch_scores", DType::float32, position.totals.scores);
  array("epoch_labels", DType::int32, position.totals.labels);
  for (const auto& [name, tensor] : stepper.state()) {
    std::vector<char> bytes(size_t(tensor.size() * size_of(tensor.dtype())));
    Backend& backend = tensor.memory()->backend();
    backend.download(*backend.make_exec(1), tensor.buffer(), bytes.data());
    file.state(name, tensor.dtype(), tensor.shape(), bytes.data());
  }
  std::string tuned;
  for (const std::string& line : model.memory()->backend().tuned()) tuned += line + "\n";
  if (!tuned.empty()) array("tuned", DType::uint8, tuned);
  file.commit();
}

Position read_position(const WeightFileReader& file) {
  Packer p(read_array<double>(file, "position", DType::float64));
  Position position;
  pack(p, position);
  position.totals.scores = read_array<float>(file, "epoch_scores", DType::float32);
  position.totals.labels = read_array<int32_t>(file, "epoch_labels", DType::int32);
  return position;
}

void read_optimizer(const WeightFileReader& file, Stepper& stepper) {
  for (const auto& [name, tensor] : stepper.state()) {
    const WeightFileReader::State stored = file.state(name);
    if (!(stored.shape == tensor.shape()) || stored.dtype != tensor.dtype())
      fail(ErrorKind::weights, "the checkpoint's /state/", name, " has shape ", str(stored.shape), ", ", str(tensor.shape()), " is needed");
    Backend& backend = tensor.memory()->backend();
    const auto exec = backend.make_exec(1);
    backend.upload(*exec, stored.bytes.data(), tensor.buffer());
    exec->synchronize();
  }
}

void read_tuned(const WeightFileReader& file, Backend& backend) {
  const std::vector<std::string> there = file.state_names();
  if (std::find(there.begin(), there.end(), "tuned") == there.end()) return;
  const std::vector<char> text = read_array<char>(file, "tuned", DType::uint8);
  std::istringstream in(std::string(text.begin(), text.end()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  backend.recall(lines);
}

}  // namespace ptrain
