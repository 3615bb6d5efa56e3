// defines: unpack_keras(), the reader of .keras files
#pragma once

#include <string>

namespace ptrain::convert {

struct KerasZip {
  std::string keras_version, config;  // of metadata.json; the text of config.json
};

// Writes model.weights.h5 out of the zip file `in` to the descriptor `out`, and checks its CRC on the way. Nothing else of the archive is
// written anywhere, whatever its members are called. Refuses members that point outside, bombs, encryption, and damaged archives.
KerasZip unpack_keras(int in, int out);
bool is_zip(int fd);

}  // namespace ptrain::convert
