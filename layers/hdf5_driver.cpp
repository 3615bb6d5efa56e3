#include "layers/hdf5_driver.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <new>

// An HDF5 "virtual file driver": the functions that the library calls instead of open, pread and pwrite.
namespace ptrain::hdf5 {
namespace {

constexpr haddr_t kMaxAddress = haddr_t(std::numeric_limits<int64_t>::max());
constexpr uint64_t kWriteBehind = 8 << 20;  // the kernel is asked to begin writing every so many bytes, so that fsync has little left to do

struct DriverFile {
  H5FD_t base;  // the library's part comes first
  Descriptor* descriptor;
  haddr_t end_of_address, end_of_file;
};

DriverFile& of(H5FD_t* f) { return *reinterpret_cast<DriverFile*>(f); }
const DriverFile& of(const H5FD_t* f) { return *reinterpret_cast<const DriverFile*>(f); }

H5FD_t* driver_open(const char*, unsigned flags, hid_t access, haddr_t) {
  const void* info = H5Pget_driver_info(access);
  if (!info) return nullptr;
  Descriptor* d = *static_cast<Descriptor* const*>(info);
  struct stat status;
  if (fstat(d->fd, &status) != 0) return nullptr;
  auto* f = new (std::nothrow) DriverFile{};
  if (!f) return nullptr;
  f->descriptor = d;
  f->end_of_file = flags & H5F_ACC_TRUNC ? 0 : haddr_t(status.st_size);
  return &f->base;
}

herr_t driver_close(H5FD_t* f) {
  delete &of(f);
  return 0;
}

// Two opened files are never the same one: nothing writes to a file that is also read.
int driver_compare(const H5FD_t* a, const H5FD_t* b) { return a < b ? -1 : a > b; }

herr_t driver_query(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}

haddr_t driver_get_eoa(const H5FD_t* f, H5FD_mem_t) { return of(f).end_of_address; }
haddr_t driver_get_eof(const H5FD_t* f, H5FD_mem_t) { return of(f).end_of_file; }
herr_t driver_set_eoa(H5FD_t* f, H5FD_mem_t, haddr_t address) {
  of(f).end_of_address = address;
  return 0;
}

bool inside(haddr_t at, size_t size) { return at <= kMaxAddress && size <= kMaxAddress - at; }

herr_t driver_read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, size_t size, void* to) {
  if (!inside(at, size)) return -1;
  auto* out = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t got = pread(of(file).descriptor->fd, out, size, off_t(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) {  // past the end: zeros, as the library's own driver gives
      std::fill_n(out, size, '\0');
      return 0;
    }
    out += got, at += haddr_t(got), size -= size_t(got);
  }
  return 0;
}

herr_t driver_write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, size_t size, const void* from) {
  DriverFile& f = of(file);
  if (!inside(at, size)) return -1;
  write_at(*f.descriptor, at, from, size);
  f.end_of_file = std::max(f.end_of_file, haddr_t(at + size));
  return 0;
}

herr_t driver_truncate(H5FD_t* file, hid_t, hbool_t) {
  DriverFile& f = of(file);
  if (f.end_of_file == f.end_of_address) return 0;
  if (f.descriptor->write_errno == 0 && ftruncate(f.descriptor->fd, off_t(f.end_of_address)) != 0) f.descriptor->write_errno = errno;
  f.end_of_file = f.end_of_address;
  return 0;
}

Handle access_list(Descriptor& d) {
  H5FD_class_t driver{};
  driver.name = "descriptor";
  driver.maxaddr = kMaxAddress;
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.fapl_size = sizeof(Descriptor*);
  driver.open = driver_open;
  driver.close = driver_close;
  driver.cmp = driver_compare;
  driver.query = driver_query;
  driver.get_eoa = driver_get_eoa;
  driver.set_eoa = driver_set_eoa;
  driver.get_eof = driver_get_eof;
  driver.read = driver_read;
  driver.write = driver_write;
  driver.truncate = driver_truncate;
  constexpr H5FD_mem_t kFreeLists[] = H5FD_FLMAP_DICHOTOMY;  // space for tensors and space for the rest are kept apart
  std::copy(std::begin(kFreeLists), std::end(kFreeLists), driver.fl_map);

  const Handle id(H5FDregister(&driver), H5FDunregister);  // the list and the file keep it alive
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  Descriptor* info = &d;
  REQUIRE_THAT(id && access && H5Pset_driver(access, id, &info) >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0,
               "setting up HDF5: ", last_error());
  return access;
}

}  // namespace

void write_at(Descriptor& d, uint64_t offset, const void* from, size_t bytes) {
  const auto* data = static_cast<const char*>(from);
  while (bytes > 0 && d.write_errno == 0) {
    const ssize_t put = pwrite(d.fd, data, bytes, off_t(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) d.write_errno = put < 0 ? errno : ENOSPC;
    else data += put, offset += uint64_t(put), bytes -= size_t(put);
  }
  if (offset < d.sent + kWriteBehind) return;
  sync_file_range(d.fd, off_t(d.sent), off_t(offset - d.sent), SYNC_FILE_RANGE_WRITE);  // a hint: its failure means nothing
  d.sent = offset;
}

Handle open_descriptor(Descriptor& d) {
  const Handle access = access_list(d);
  Handle file(H5Fopen("descriptor", H5F_ACC_RDONLY, access), H5Fclose);
  if (!file) fail(ErrorKind::weights, "not an HDF5 file, or a damaged one: ", last_error());
  return file;
}

Handle create_descriptor(Descriptor& d) {
  const Handle access = access_list(d), layout(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_small_data_block_size(access, 0);  // each tensor behind the one before, small ones too
  Handle file(H5Fcreate("descriptor", H5F_ACC_TRUNC, layout, access), H5Fclose);
  if (!file) fail(ErrorKind::weights, "creating an HDF5 file: ", last_error());
  return file;
}

}  // namespace ptrain::hdf5
