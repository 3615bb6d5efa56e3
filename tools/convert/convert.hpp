// defines: convert(), from a stranger's Keras file to a model file
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/convert/plan.hpp"

namespace ptrain::convert {

struct ConvertOptions {
  std::filesystem::path file;
  std::filesystem::path out;  // empty: only check
  std::string net = "auto";   // or a name
  bool allow_unused = false;
  std::string preprocessing;         // of the images; "": what the file says, or as the net
  std::vector<std::string> classes;  // names for the outputs of a user's head
};

struct ConvertReport {
  Plan plan;
  std::string keras_net;
  size_t tensors = 0, base_tensors = 0;
  int64_t parameters = 0;
  int64_t input_bytes = 0, output_bytes = 0;
  std::string input_sha256, input_md5, output_sha256;  // hexadecimal; MD5 only when it may be a published file
  std::string official;
  bool seccomp = false;
};

// Reads in a sandboxed child, checks again here, writes as a whole or not at all. Errors are Error{weights}; they name the file.
ConvertReport convert(const ConvertOptions& options, const std::vector<NetLayout>& layouts);

}  // namespace ptrain::convert
