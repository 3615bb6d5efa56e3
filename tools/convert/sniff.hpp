// defines: sniff(), what a file is by its first bytes
#pragma once

#include <string>

namespace ptrain::convert {

inline const std::string kHdf5 = "an HDF5 file";
std::string sniff(int fd);  // for messages: "an HDF5 file", "a TensorFlow Lite model", "something unknown", …

}  // namespace ptrain::convert
