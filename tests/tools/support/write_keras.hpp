// defines: files as Keras writes them, made here, so that tests need no golden file
#pragma once

#include <filesystem>

#include "tools/convert/layout.hpp"

namespace ptrain::test {

// Tensor k is (k+1)/1024 in every element, and 0.5 more in element 0.
void write_legacy_h5(const std::filesystem::path& path, const convert::NetLayout& net);   // layer_names, weight_names
void write_weights_h5(const std::filesystem::path& path, const convert::NetLayout& net);  // layers/conv2d_5/vars/0, with names

// A zip file of stored members.
struct ZipMember {
  std::string name, data;
  uint32_t claimed_size = 0;       // 0: the true one
  uint16_t method = 0, flags = 0;  // 8: `data` is a deflate stream already
  uint32_t crc = 0;                // 0: the true one, of stored members
};
std::string make_zip(const std::vector<ZipMember>& members);

}  // namespace ptrain::test
