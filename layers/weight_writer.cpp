#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <future>

#include "layers/hdf5_driver.hpp"
#include "layers/weight_file.hpp"
#include "layers/weight_places.hpp"

namespace ptrain {
namespace fs = std::filesystem;
using hdf5::Handle;
using hdf5::Session;

struct WeightFileWriter::Impl {
  fs::path path, temporary;
  hdf5::Descriptor descriptor;
  Handle file, weights, state, dataset;  // `dataset` is the one that rows() fills, or
  Places::Place* place = nullptr;        // this one, in a file that was laid out
  Places places;
  Shape shape;
  std::string key;
  int64_t rows_done = 0;

  explicit Impl(fs::path target);
  ~Impl();

  [[noreturn]] void fail_saving(const std::string& why) const {
    fail(ErrorKind::weights, "saving ", path.string(), ": ", why, "; a file of that name that was there is as it was");
  }
  [[noreturn]] void fail_errno(int error) const {
    fail_saving(concat(std::strerror(error), error == ENOSPC || error == EDQUOT ? " (free some space, or save elsewhere)" : ""));
  }
  void check(bool ok, const std::string& doing) const {
    if (descriptor.write_errno != 0) fail_errno(descriptor.write_errno);
    if (!ok) fail_saving(doing + ": " + hdf5::last_error());
  }

  Handle group(hid_t parent, const std::string& name) const;
  Handle create(hid_t parent, const std::string& name, hid_t type, const Shape& shape) const;
  void reserve(const Handle& made, const std::string& name, uint64_t bytes);
  void lay_out();
  void begin(const std::string& layer, const std::string& weight, const Shape& shape);
  void write_rows(int64_t given, const float* values);
  void finish_rows();
  void close_file();
  void commit(const std::function<void()>& meanwhile);
};

namespace {

// A new file beside the target, so that a rename stays within one file system.
int create_beside(const fs::path& target, fs::path& name) {
  for (int i = 0;; ++i) {
    name = target.parent_path() / concat(".", target.filename().string(), ".", getpid(), ".", i, ".tmp");
    const int fd = open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST || i > 1000) return fd;
  }
}

hid_t stored_type(DType t) {
  switch (t) {
    case DType::float32: return H5T_IEEE_F32LE;
    case DType::float64: return H5T_IEEE_F64LE;
    case DType::int32: return H5T_STD_I32LE;
    case DType::uint8: return H5T_STD_U8LE;
    default: fail(ErrorKind::failed, "no state of type ", str(t), " in a model file");
  }
}

hid_t memory_type(DType t) {
  switch (t) {
    case DType::float32: return H5T_NATIVE_FLOAT;
    case DType::float64: return H5T_NATIVE_DOUBLE;
    case DType::int32: return H5T_NATIVE_INT32;
    default: return H5T_NATIVE_UINT8;
  }
}

void check_name(const std::string& part) {
  REQUIRE_THAT(!part.empty() && part != "." && part != ".." && part.size() <= hdf5::kMaxName && part.find('/') == std::string::npos, "'",
               part, "' cannot be a name in a model file");
}

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> parts(1);
  for (const char c : path) c == '/' ? parts.emplace_back() : parts.back() += c, void();
  for (const std::string& p : parts) check_name(p);
  return parts;
}

}  // namespace

WeightFileWriter::Impl::Impl(fs::path target) : path(std::move(target)) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) fail_saving("that is a folder");
  descriptor.fd = create_beside(path, temporary);
  if (descriptor.fd < 0) fail_errno(errno);
  const Session session;
  try {
    file = hdf5::create_descriptor(descriptor);
    weights = group(file, "weights");
    check(hdf5::write_attribute(file, "format_version", kModelFormatVersion), "writing format_version");
  } catch (...) {
    weights.reset(), file.reset();
    close(descriptor.fd);
    unlink(temporary.c_str());
    throw;
  }
}

WeightFileWriter::Impl::~Impl() {
  if (descriptor.fd < 0) return;
  {
    const Session session;
    dataset.reset(), state.reset(), weights.reset(), file.reset();
  }
  close(descriptor.fd);
  unlink(temporary.c_str());
}

// Opens or creates; the order of creation is kept, so that the tensors of a file come in Keras' order.
Handle WeightFileWriter::Impl::group(hid_t parent, const std::string& name) const {
  if (H5Lexists(parent, name.c_str(), H5P_DEFAULT) > 0) return {H5Gopen2(parent, name.c_str(), H5P_DEFAULT), H5Gclose};
  const Handle options(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_link_creation_order(options, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  Handle made(H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, options, H5P_DEFAULT), H5Gclose);
  check(bool(made), "creating group " + name);
  return made;
}

Handle WeightFileWriter::Impl::create(hid_t parent, const std::string& name, hid_t type, const Shape& s) const {
  const Handle options(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(options, false);  // the same weights give the same bytes
  H5Pset_alloc_time(options, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(options, H5D_FILL_TIME_NEVER);
  std::array<hsize_t, 4> dims{};
  for (int i = 0; i < s.rank(); ++i) dims[size_t(i)] = hsize_t(s[i]);
  const Handle space(s.rank() == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(s.rank(), dims.data(), nullptr), H5Sclose);
  Handle made(H5Dcreate2(parent, name.c_str(), type, space, H5P_DEFAULT, options, H5P_DEFAULT), H5Dclose);
  check(bool(made), "creating " + name);
  return made;
}

void WeightFileWriter::Impl::reserve(const Handle& made, const std::string& name, uint64_t bytes) {
  const haddr_t offset = bytes > 0 ? H5Dget_offset(made) : 0;
  check(offset != HADDR_UNDEF, "reserving room for " + name);
  places.add({.name = name, .offset = offset, .bytes = bytes});
}

void WeightFileWriter::Impl::lay_out() {
  static_assert(std::endian::native == std::endian::little, "values go to their places as they lie in memory");
  close_file();
  struct stat status {};
  if (fstat(descriptor.fd, &status) != 0) fail_errno(errno);
  places.close(uint64_t(status.st_size));
  descriptor.sent = 0;  // the values are still to come
}

void WeightFileWriter::Impl::finish_rows() {
  if (!dataset && !place) return;
  const int64_t wanted = shape.rank() == 0 ? 1 : shape[0];
  REQUIRE_THAT(rows_done == wanted, "saving ", path.string(), ": ", key, " has ", rows_done, " of ", wanted, " rows");
  dataset.reset();
  place = nullptr;
}

void WeightFileWriter::Impl::begin(const std::string& layer, const std::string& weight, const Shape& s) {
  check_name(layer), check_name(weight);
  finish_rows();
  shape = s, key = layer + "/" + weight, rows_done = 0;
  if (file) {
    dataset = create(group(weights, layer), weight, H5T_IEEE_F32LE, s);
    return;
  }
  Places::Place& reserved = places.find(key);
  REQUIRE_THAT(reserved.bytes == uint64_t(s.size()) * sizeof(float) && reserved.done == 0, key,
               ": not what was reserved, or written twice");
  place = &reserved;
}

// `given` whole rows, behind those that are there.
void WeightFileWriter::Impl::write_rows(int64_t given, const float* values) {
  const int64_t count = shape.rank() == 0 ? 1 : shape[0];
  if (place) {
    places.write(descriptor, *place, values, count > 0 ? uint64_t(given * (shape.size() / count)) * sizeof(float) : 0);
    return check(true, "writing " + key);
  }
  std::array<hsize_t, 4> start{hsize_t(rows_done)}, size{};
  for (int i = 0; i < shape.rank(); ++i) size[size_t(i)] = hsize_t(shape[i]);
  size[0] = hsize_t(given);
  const Handle space(H5Dget_space(dataset), H5Sclose);
  const Handle memory(shape.rank() == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(shape.rank(), size.data(), nullptr), H5Sclose);
  if (shape.rank() > 0) H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  check(H5Dwrite(dataset, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, values) >= 0, "writing " + key);
}

void WeightFileWriter::Impl::close_file() {
  weights.reset(), state.reset();
  check(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0, "writing");
  check(file.reset() >= 0, "closing the file");
}

void WeightFileWriter::Impl::commit(const std::function<void()>& meanwhile) {
  finish_rows();
  if (file) close_file();
  REQUIRE_THAT(!places.unfinished(), "saving ", path.string(), ": ", places.unfinished()->name, " misses values");
  std::future<void> reading;
  if (meanwhile) reading = std::async(std::launch::async, meanwhile);
  if (fsync(descriptor.fd) != 0) fail_errno(errno);
  if (meanwhile) reading.get();
  if (rename(temporary.c_str(), path.c_str()) != 0) fail_errno(errno);
  close(std::exchange(descriptor.fd, -1));
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);  // EINVAL: a file system that has no such thing
  if (fd >= 0) close(fd);
  if (!synced)
    fail(ErrorKind::weights, "saving ", path.string(), ": written, but its folder could not be synchronised: ", std::strerror(errno));
}

WeightFileWriter::WeightFileWriter(fs::path path) : impl_(std::make_unique<Impl>(std::move(path))) {}
WeightFileWriter::~WeightFileWriter() = default;

void WeightFileWriter::weight(const std::string& layer, const std::string& weight, const Shape& shape, std::span<const float> values) {
  REQUIRE_THAT(int64_t(values.size()) == shape.size(), layer, "/", weight, ": ", values.size(), " values for the shape ", str(shape));
  begin_weight(layer, weight, shape);
  rows(values);
}

void WeightFileWriter::begin_weight(const std::string& layer, const std::string& weight, const Shape& shape) {
  const Session session;
  impl_->begin(layer, weight, shape);
}

void WeightFileWriter::rows(std::span<const float> values) {
  const Session session;
  Impl& w = *impl_;
  REQUIRE_THAT(w.dataset || w.place, "rows() without begin_weight()");
  const int64_t count = w.shape.rank() == 0 ? 1 : w.shape[0], row = count > 0 ? w.shape.size() / count : 0;
  const int64_t given = row > 0 ? int64_t(values.size()) / row : 0;
  REQUIRE_THAT(given * row == int64_t(values.size()) && w.rows_done + given <= count, w.key, ": ", values.size(),
               " values are not whole rows of ", str(w.shape), ", or too many");
  w.write_rows(given, values.data());
  w.rows_done += given;
}

void WeightFileWriter::state(const std::string& name, DType dtype, const Shape& shape, const void* values) {
  const Session session;
  Impl& w = *impl_;
  w.finish_rows();
  if (!w.state) w.state = w.group(w.file, "state");
  const std::vector<std::string> parts = split(name);
  std::vector<Handle> opened;
  hid_t parent = w.state;
  for (size_t i = 0; i + 1 < parts.size(); ++i) parent = opened.emplace_back(w.group(parent, parts[i]));
  const Handle dataset = w.create(parent, parts.back(), stored_type(dtype), shape);
  w.check(H5Dwrite(dataset, memory_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, "writing /state/" + name);
}

void WeightFileWriter::attribute(const std::string& name, const Attribute& value) {
  const Session session;
  impl_->check(hdf5::write_attribute(impl_->file, name, value), "writing attribute " + name);
}

void WeightFileWriter::commit(const std::function<void()>& meanwhile) {
  const Session session;
  impl_->commit(meanwhile);
}

void WeightFileWriter::reserve_weight(const std::string& layer, const std::string& weight, const Shape& shape) {
  const Session session;
  check_name(layer), check_name(weight);
  const Handle dataset = impl_->create(impl_->group(impl_->weights, layer), weight, H5T_IEEE_F32LE, shape);
  impl_->reserve(dataset, layer + "/" + weight, uint64_t(shape.size()) * sizeof(float));
}

void WeightFileWriter::reserve_text(const std::string& name, int64_t bytes) {
  const Session session;
  check_name(name);
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, size_t(bytes));
  impl_->reserve(impl_->create(impl_->file, name, type, {}), name, uint64_t(bytes));
}

void WeightFileWriter::lay_out() {
  const Session session;
  impl_->lay_out();
}

void WeightFileWriter::text(const std::string& name, const std::string& value) {
  Places::Place& place = impl_->places.find(name);
  REQUIRE_THAT(place.done == 0 && value.size() == place.bytes, name, ": ", value.size(), " bytes of text for the ", place.bytes,
               " reserved");
  impl_->places.write(impl_->descriptor, place, value.data(), value.size());
  impl_->check(true, "writing " + name);
}

uint64_t WeightFileWriter::final_bytes() const { return impl_->places.final_bytes(); }
int WeightFileWriter::fd() const { return impl_->descriptor.fd; }

}  // namespace ptrain
