// defines: Session, Handle, and the few things done with the HDF5 library: attributes, children, checked datasets
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/error.hpp"
#include "tensor/shape.hpp"

namespace ptrain {

using Attribute = std::variant<std::string, int64_t, double, std::vector<std::string>, std::vector<int64_t>, std::vector<double>>;
using Attributes = std::map<std::string, Attribute>;

}  // namespace ptrain

namespace ptrain::hdf5 {

// Hold one around any use of the library. It keeps other threads out (Debian's build is not thread-safe), stops the library from
// printing its own error stack, and from loading plugins, which a file could ask for by number.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* print_data_ = nullptr;
};

// The innermost reasons of the library's last failure: "truncated file: eof = 5653022, …".
std::string last_error();

// Owns one id. Move-only; closing never throws.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& o) noexcept : id_(std::exchange(o.id_, hid_t(-1))), close_(o.close_) {}
  Handle& operator=(Handle&& o) noexcept {
    std::swap(id_, o.id_), std::swap(close_, o.close_);
    return *this;
  }
  ~Handle() { reset(); }
  herr_t reset() { return id_ >= 0 ? close_(std::exchange(id_, hid_t(-1))) : 0; }
  explicit operator bool() const { return id_ >= 0; }
  operator hid_t() const { return id_; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

// ---- Reading. Everything here may be a stranger's file: what is not plainly a weight file is an Error{weights} whose text names the
// object but not the file; the caller, who knows the file, puts its name before it.

constexpr size_t kMaxName = 512, kMaxChildren = 20'000;

struct Child {
  std::string name;
  H5L_type_t link;  // only hard links may be opened
};
std::vector<Child> children(hid_t group);  // in the order of creation where the file keeps it, else by name

enum class ObjectKind { group, dataset, other };
struct Object {
  Handle handle;
  ObjectKind kind;
  uint64_t address;  // in the file: the same for two names of one object
};
// The object of that name (one component of a path) in a group. Soft, external and user-defined links are refused.
Object open_child(hid_t group, const std::string& name);

std::vector<std::string> attribute_names(hid_t object);
// Nothing when there is no such attribute, or it is of a kind that no weight file needs (references, compounds, more dimensions).
// Text may have a fixed or variable length, be ASCII or UTF-8, padded with nulls or spaces.
std::optional<Attribute> attribute(hid_t object, const std::string& name);

enum class Element { float16, float32, float64, integer, opaque2, other };  // opaque2: two bytes without a meaning (bfloat16 of Keras)
struct Dataset {
  Handle handle;
  Shape shape;                          // at most four dimensions
  Element element;                      // as stored; the byte order does not matter
  int64_t chunk_rows = 0;               // of the first dimension; 0 when it is not chunked
  std::optional<uint64_t> offset = {};  // of contiguous data in the file
};
// Refuses external and virtual storage, foreign filters, and shapes that declare more than the file stores.
Dataset open_dataset(Handle dataset, const std::string& name);
// Rows [first, first + rows) of the first dimension (everything when the rank is 0), converted to `memory_type`.
void read_rows(const Dataset&, const std::string& name, int64_t first, int64_t rows, hid_t memory_type, void* to);
// To be called before chunks are read: HDF5 would grow its buffer without bound for one that unpacks to too much, and read past the end of
// one that unpacks to too little.
void check_chunks(hid_t dataset, const std::string& name, const Shape& shape, int64_t element_bytes, uint64_t file_bytes);

// ---- Writing. False after a failure.

bool write_attribute(hid_t object, const std::string& name, const Attribute& value);

}  // namespace ptrain::hdf5
