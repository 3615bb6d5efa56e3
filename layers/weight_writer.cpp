#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>

#include "layers/hdf5_driver.hpp"
#include "layers/weight_file.hpp"

namespace ptrain {
namespace fs = std::filesystem;
using hdf5::Handle;
using hdf5::Session;

struct WeightFileWriter::Impl {
  fs::path path, temporary;
  hdf5::Descriptor descriptor;
  Handle file, weights, state, dataset;  // `dataset` is the one that rows() fills
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
  void begin(const std::string& layer, const std::string& weight, const Shape& shape);
  void finish_rows();
  void commit(const std::function<void(int)>& meanwhile);
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

void WeightFileWriter::Impl::finish_rows() {
  if (!dataset) return;
  const int64_t wanted = shape.rank() == 0 ? 1 : shape[0];
  REQUIRE_THAT(rows_done == wanted, "saving ", path.string(), ": ", key, " has ", rows_done, " of ", wanted, " rows");
  dataset.reset();
}

void WeightFileWriter::Impl::begin(const std::string& layer, const std::string& weight, const Shape& s) {
  check_name(layer), check_name(weight);
  finish_rows();
  dataset = create(group(weights, layer), weight, H5T_IEEE_F32LE, s);
  shape = s, key = layer + "/" + weight, rows_done = 0;
}

void WeightFileWriter::Impl::commit(const std::function<void(int)>& meanwhile) {
  finish_rows();
  weights.reset(), state.reset();
  check(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0, "writing");
  check(file.reset() >= 0, "closing the file");
  std::future<void> reading;
  if (meanwhile) reading = std::async(std::launch::async, meanwhile, descriptor.fd);
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
  REQUIRE_THAT(w.dataset, "rows() without begin_weight()");
  const int64_t count = w.shape.rank() == 0 ? 1 : w.shape[0], row = count > 0 ? w.shape.size() / count : 0;
  const int64_t given = row > 0 ? int64_t(values.size()) / row : 0;
  REQUIRE_THAT(given * row == int64_t(values.size()) && w.rows_done + given <= count, w.key, ": ", values.size(),
               " values are not whole rows of ", str(w.shape), ", or too many");
  std::array<hsize_t, 4> start{hsize_t(w.rows_done)}, size{};
  for (int i = 0; i < w.shape.rank(); ++i) size[size_t(i)] = hsize_t(w.shape[i]);
  size[0] = hsize_t(given);
  const Handle space(H5Dget_space(w.dataset), H5Sclose);
  const Handle memory(w.shape.rank() == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(w.shape.rank(), size.data(), nullptr), H5Sclose);
  if (w.shape.rank() > 0) H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  w.check(H5Dwrite(w.dataset, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, values.data()) >= 0, "writing " + w.key);
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

void WeightFileWriter::commit(const std::function<void(int)>& meanwhile) {
  const Session session;
  impl_->commit(meanwhile);
}

}  // namespace ptrain
