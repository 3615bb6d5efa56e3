#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "layers/hdf5_driver.hpp"
#include "layers/weight_file.hpp"

namespace ptrain {
namespace fs = std::filesystem;
using hdf5::Handle;
using hdf5::ObjectKind;
using hdf5::Session;

namespace {

constexpr size_t kMaxTensors = 100'000;
constexpr int kMaxDepth = 8;  // of names below /state

class File {
 public:
  explicit File(const fs::path& path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd < 0) fail(ErrorKind::weights, std::strerror(errno));
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
      bytes = uint64_t(status.st_size);
      return;
    }
    close(fd);
    fail(ErrorKind::weights, "not a regular file");
  }
  ~File() { close(fd); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd;
  uint64_t bytes = 0;
};

}  // namespace

struct WeightFileReader::Impl {
  explicit Impl(const fs::path& p) : path(p), source(p) {
    descriptor.fd = source.fd;
    file = hdf5::open_descriptor(descriptor);
    read_attributes();
    read_tensors();
    const Handle root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose);
    for (const hdf5::Child& c : hdf5::children(root))
      if (c.name == "state") find_state(hdf5::open_child(root, "state"), "", 0);
  }
  ~Impl() {
    const Session session;
    file.reset();
  }

  void read_attributes();
  void read_tensors();
  void find_state(const hdf5::Object& at, const std::string& name, int depth);
  hdf5::Dataset open(const std::string& name) const;  // "/weights/layer/weight", each part a hard link
  template <class T>
  const T& get(const std::string& name, const char* kind) const;

  fs::path path;
  File source;
  hdf5::Descriptor descriptor;
  Handle file;
  Attributes attributes;
  std::vector<StoredTensor> tensors;
  std::vector<std::string> states;
  std::unordered_set<uint64_t> visited;  // groups below /state: a hard link may point upwards
};

void WeightFileReader::Impl::read_attributes() {
  for (const std::string& name : hdf5::attribute_names(file))
    if (auto value = hdf5::attribute(file, name)) attributes[name] = std::move(*value);
  const auto version = attributes.find("format_version");
  if (version == attributes.end())
    fail(ErrorKind::weights, attributes.contains("layer_names") || attributes.contains("keras_version")
                                 ? "this is a Keras file; convert it first: ptrain-convert FILE --out W.h5"
                                 : "not a model file of ptrain (a Keras file is converted by ptrain-convert FILE --out W.h5)");
  const int64_t* number = std::get_if<int64_t>(&version->second);
  if (!number || *number != kModelFormatVersion)
    fail(ErrorKind::weights, "format version ", number ? std::to_string(*number) : "?", "; this program reads version ",
         kModelFormatVersion);
}

void WeightFileReader::Impl::read_tensors() {
  const Handle root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose);
  const hdf5::Object weights = hdf5::open_child(root, "weights");
  if (weights.kind != ObjectKind::group) fail(ErrorKind::weights, "'weights' is not a group");
  for (const hdf5::Child& layer : hdf5::children(weights.handle)) {
    const hdf5::Object group = hdf5::open_child(weights.handle, layer.name);
    if (group.kind != ObjectKind::group) fail(ErrorKind::weights, "/weights/", layer.name, " is not a group");
    for (const hdf5::Child& weight : hdf5::children(group.handle)) {
      hdf5::Object object = hdf5::open_child(group.handle, weight.name);
      const std::string name = "/weights/" + layer.name + "/" + weight.name;
      if (object.kind != ObjectKind::dataset) fail(ErrorKind::weights, name, " is not a dataset");
      const hdf5::Dataset d = hdf5::open_dataset(std::move(object.handle), name);
      if (d.element > hdf5::Element::float64) fail(ErrorKind::weights, name, " is not stored as floating-point numbers");
      tensors.push_back({layer.name, weight.name, d.shape});
      if (tensors.size() > kMaxTensors) fail(ErrorKind::weights, "more than ", kMaxTensors, " tensors");
    }
  }
}

void WeightFileReader::Impl::find_state(const hdf5::Object& at, const std::string& name, int depth) {
  if (at.kind == ObjectKind::dataset) states.push_back(name);
  if (at.kind != ObjectKind::group) return;
  if (depth > kMaxDepth || states.size() > kMaxTensors || !visited.insert(at.address).second)
    fail(ErrorKind::weights, "/state is too deep, too large, or contains itself");
  for (const hdf5::Child& c : hdf5::children(at.handle))
    find_state(hdf5::open_child(at.handle, c.name), name.empty() ? c.name : name + "/" + c.name, depth + 1);
}

hdf5::Dataset WeightFileReader::Impl::open(const std::string& name) const {
  hdf5::Object at{Handle(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose), ObjectKind::group, 0};
  for (size_t begin = 1; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (at.kind != ObjectKind::group) fail(ErrorKind::weights, "there is no ", name);
    at = hdf5::open_child(at.handle, name.substr(begin, end - begin));
    begin = end + 1;
  }
  if (at.kind != ObjectKind::dataset) fail(ErrorKind::weights, name, " is not a dataset");
  return hdf5::open_dataset(std::move(at.handle), name);
}

template <class T>
const T& WeightFileReader::Impl::get(const std::string& name, const char* kind) const {
  const auto it = attributes.find(name);
  if (it == attributes.end()) fail(ErrorKind::weights, "reading ", path.string(), ": there is no attribute '", name, "'");
  const T* value = std::get_if<T>(&it->second);
  if (!value) fail(ErrorKind::weights, "reading ", path.string(), ": attribute '", name, "' is not ", kind);
  return *value;
}

WeightFileReader::WeightFileReader(fs::path path) {
  const Session session;
  try {
    impl_ = std::make_unique<Impl>(path);
  } catch (const Error& e) {
    fail(e.kind(), "reading ", path.string(), ": ", e.what());
  }
}
WeightFileReader::~WeightFileReader() = default;

const fs::path& WeightFileReader::path() const { return impl_->path; }
const std::vector<StoredTensor>& WeightFileReader::tensors() const { return impl_->tensors; }
const Attributes& WeightFileReader::attributes() const { return impl_->attributes; }
bool WeightFileReader::has_attribute(const std::string& name) const { return impl_->attributes.contains(name); }
const std::string& WeightFileReader::text(const std::string& name) const { return impl_->get<std::string>(name, "a text"); }
int64_t WeightFileReader::integer(const std::string& name) const { return impl_->get<int64_t>(name, "an integer"); }
double WeightFileReader::number(const std::string& name) const { return impl_->get<double>(name, "a number"); }
const std::vector<std::string>& WeightFileReader::texts(const std::string& name) const {
  return impl_->get<std::vector<std::string>>(name, "a list of texts");
}
std::vector<std::string> WeightFileReader::state_names() const { return impl_->states; }

void WeightFileReader::read(const StoredTensor& tensor, std::span<float> to) const try {
  const Session session;
  const std::string name = "/weights/" + tensor.key();
  const hdf5::Dataset d = impl_->open(name);
  REQUIRE_THAT(d.shape == tensor.shape && int64_t(to.size()) == d.shape.size(), name, " has shape ", str(d.shape), ", room for ",
               to.size());
  if (d.chunk_rows > 0)
    hdf5::check_chunks(d.handle, name, d.shape, int64_t(H5Tget_size(Handle(H5Dget_type(d.handle), H5Tclose))), impl_->source.bytes);
  hdf5::read_rows(d, name, 0, d.shape.rank() > 0 ? d.shape[0] : 0, H5T_NATIVE_FLOAT, to.data());
} catch (const Error& e) {
  fail(e.kind(), "reading ", impl_->path.string(), ": ", e.what());
}

WeightFileReader::State WeightFileReader::state(const std::string& name) const try {
  const Session session;
  const hdf5::Dataset d = impl_->open("/state/" + name);
  const Handle type(H5Dget_type(d.handle), H5Tclose);
  const struct {
    DType dtype;
    hid_t stored, memory;
  } known[] = {{DType::float32, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT},
               {DType::float64, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE},
               {DType::int32, H5T_STD_I32LE, H5T_NATIVE_INT32},
               {DType::uint8, H5T_STD_U8LE, H5T_NATIVE_UINT8}};
  for (const auto& k : known) {
    if (H5Tequal(type, k.stored) <= 0) continue;
    if (d.chunk_rows > 0) hdf5::check_chunks(d.handle, "/state/" + name, d.shape, size_of(k.dtype), impl_->source.bytes);
    State s{k.dtype, d.shape, std::vector<char>(size_t(d.shape.size() * size_of(k.dtype)))};
    hdf5::read_rows(d, "/state/" + name, 0, d.shape.rank() > 0 ? d.shape[0] : 0, k.memory, s.bytes.data());
    return s;
  }
  fail(ErrorKind::weights, "/state/", name, " is neither float32, float64, int32 nor uint8");
} catch (const Error& e) {
  fail(e.kind(), "reading ", impl_->path.string(), ": ", e.what());
}

}  // namespace ptrain
