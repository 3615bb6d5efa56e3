// defines: HDF5 files over an open file descriptor
#pragma once

#include "layers/hdf5.hpp"

namespace ptrain::hdf5 {

// The library gets a file by descriptor and never by name. So a process that may not open files can still read one, a file that was
// renamed or unlinked stays readable, and a full disk is seen here, once, instead of breaking the library's own clean-up: after the first
// failed write the rest is dropped silently, the file can be closed in order, and `write_errno` says what happened.
struct Descriptor {
  int fd = -1;
  int write_errno = 0;
  uint64_t sent = 0;  // bytes that the kernel was asked to write behind
};

// All writing ends here. A failure is remembered in `write_errno`, after which nothing more is written.
void write_at(Descriptor&, uint64_t offset, const void* data, size_t bytes);

// The descriptor must outlive the handle. Failures are Error{weights} without the name of the file.
Handle open_descriptor(Descriptor&);    // to read
Handle create_descriptor(Descriptor&);  // an empty file, to write

}  // namespace ptrain::hdf5
