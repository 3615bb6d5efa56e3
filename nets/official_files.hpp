// defines: the weight files that Keras publishes
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace ptrain {

// Below https://storage.googleapis.com/tensorflow/keras-applications/
struct OfficialFile {
  const char* keras_net;
  bool top;
  const char* vintage;  // "current", "2016 (v0.2)"
  const char* path;     // "" when it is no longer published there
  const char* md5;      // "" when none is published
  int64_t bytes;        // 0 when not known
};
std::span<const OfficialFile> official_files();

// What is known about a file of that net: "the official file …", "not one of the official files", …
std::string match_official(const std::string& keras_net, bool top, const std::string& md5, int64_t bytes);
// Could it be one of them, so that its MD5 is worth knowing?
bool may_be_official(const std::string& keras_net, bool top, int64_t bytes);

}  // namespace ptrain
