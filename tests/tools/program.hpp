// defines: how the end-to-end tests run the programs, and the small data sets that they run them on
#pragma once

#include <fstream>

#include "layers/weight_file.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

inline std::filesystem::path bin(const char* program) { return bin_dir() / program; }
inline std::filesystem::path sample() { return source_dir() / "data" / "sample"; }

inline Finished run_ptrain(std::vector<std::string> arguments, const std::map<std::string, std::string>& environment = {}) {
  arguments.insert(arguments.begin(), bin("ptrain").string());
  return run(arguments, environment);
}

// All weights of a model file, one after the other.
inline std::vector<float> weights_of(const std::filesystem::path& path) {
  const WeightFileReader file(path);
  std::vector<float> all;
  for (const StoredTensor& t : file.tensors()) {
    std::vector<float> values(size_t(t.shape.size()));
    file.read(t, values);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// DIR/CLASS/… with the first `per_class` films of each class of a part of the sample.
inline void make_data(const std::filesystem::path& dir, size_t per_class, const std::string& part = "train") {
  for (const char* label : {"NORMAL", "PNEUMONIA"}) {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(sample() / "chest_xray" / part / label)) files.push_back(file.path());
    std::sort(files.begin(), files.end());
    std::filesystem::create_directories(dir / label);
    for (size_t i = 0; i < per_class; ++i) std::filesystem::copy_file(files.at(i), dir / label / files[i].filename());
  }
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

// Options of a training that takes a second or two.
inline std::vector<std::string> quick_training(const std::filesystem::path& data, const std::filesystem::path& out,
                                               std::vector<std::string> more = {}) {
  std::vector<std::string> a{
      "train",      "--net",          "mobilenet_v2", "--weights", "formula", "--data",   data.string(), "--out",
      out.string(), "--image-size",   "64",           "--batch",   "8",       "--epochs", "2",           "--fine-tune-epochs",
      "1",          "--fine-tune-lr", "1e-4",         "--quiet"};
  a.insert(a.end(), more.begin(), more.end());
  return a;
}

// The same of compare, fine-tune or experiment.
inline std::vector<std::string> quick_experiment(const std::string& command, const std::filesystem::path& data,
                                                 const std::filesystem::path& out, std::vector<std::string> more = {}) {
  std::vector<std::string> a{command, "--data",         data.string(), "--out",    out.string(), "--image-size",
                             "64",    "--batch",        "8",           "--epochs", "1",          "--fine-tune-epochs",
                             "1",     "--fine-tune-lr", "1e-4",        "--dense",  "8",          "--dropout",
                             "0.2",   "--quiet"};
  a.insert(a.end(), more.begin(), more.end());
  return a;
}

}  // namespace ptrain::test
