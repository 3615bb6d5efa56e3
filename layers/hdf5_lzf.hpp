// defines: LZF, the second compression that h5py offers, which libhdf5 itself does not know
#pragma once

#include <cstdint>

#include "layers/hdf5.hpp"

namespace ptrain::hdf5 {

constexpr H5Z_filter_t kLzf = 32000;

void register_lzf();  // with the library, for reading; again and again does no harm
// The number of bytes that the stream unpacks to, written to `to` when that is not null; -1 for damage. Nothing beyond `limit` is counted
// or written: limit + 1 means "more".
int64_t unpack_lzf(const char* packed, size_t size, char* to, int64_t limit);

}  // namespace ptrain::hdf5
