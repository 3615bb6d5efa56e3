#include <algorithm>
#include <cstring>

#include "layers/hdf5.hpp"

// Attributes: text in all the forms that ten years of Keras have written, and numbers.
namespace ptrain::hdf5 {
namespace {

constexpr size_t kMaxBytes = 64 << 20;  // of one attribute; a configuration of Keras has a few hundred kilobytes

[[noreturn]] void refuse(const std::string& name, const std::string& what) { fail(ErrorKind::weights, "attribute '", name, "': ", what); }

// Frees the strings that the library allocated.
class VariableTexts {
 public:
  VariableTexts(hid_t type, hid_t space, size_t count) : type_(type), space_(space), texts_(count, nullptr) {}
  ~VariableTexts() { H5Dvlen_reclaim(type_, space_, H5P_DEFAULT, texts_.data()); }
  VariableTexts(const VariableTexts&) = delete;
  VariableTexts& operator=(const VariableTexts&) = delete;
  char** data() { return texts_.data(); }
  std::vector<std::string> copy() const {
    std::vector<std::string> list;
    for (const char* t : texts_) list.emplace_back(t ? t : "");
    return list;
  }

 private:
  hid_t type_, space_;
  std::vector<char*> texts_;
};

std::string trimmed(const char* text, size_t size, H5T_str_t padding) {
  std::string s(text, size);
  if (padding == H5T_STR_NULLTERM) s.resize(std::min(s.size(), std::strlen(s.c_str())));
  const char pad = padding == H5T_STR_SPACEPAD ? ' ' : '\0';
  while (!s.empty() && s.back() == pad) s.pop_back();
  return s;
}

std::vector<std::string> read_texts(hid_t attribute, hid_t type, hid_t space, size_t count, const std::string& name) {
  std::vector<std::string> list;
  if (count == 0) return list;
  if (H5Tis_variable_str(type) > 0) {
    const Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(memory, H5T_VARIABLE);
    H5Tset_cset(memory, H5Tget_cset(type));
    VariableTexts texts(memory, space, count);
    if (H5Aread(attribute, memory, texts.data()) < 0) refuse(name, "cannot be read: " + last_error());
    return texts.copy();
  }
  const size_t size = H5Tget_size(type);
  if (size == 0 || size > kMaxBytes / std::max<size_t>(count, 1)) refuse(name, concat(count, " texts of ", size, " bytes"));
  std::vector<char> bytes(size * count);
  if (H5Aread(attribute, type, bytes.data()) < 0) refuse(name, "cannot be read: " + last_error());
  for (size_t i = 0; i < count; ++i) list.push_back(trimmed(bytes.data() + i * size, size, H5Tget_strpad(type)));
  return list;
}

template <class T>
Attribute read_numbers(hid_t attribute, hid_t memory_type, size_t count, bool scalar, const std::string& name) {
  std::vector<T> values(count);
  if (count > 0 && H5Aread(attribute, memory_type, values.data()) < 0) refuse(name, "cannot be read: " + last_error());
  if (scalar) return values[0];
  return values;
}

bool write(hid_t object, const std::string& name, hid_t type, const hsize_t* count, const void* values) {
  const Handle space(count ? H5Screate_simple(1, count, nullptr) : H5Screate(H5S_SCALAR), H5Sclose);
  if (H5Aexists(object, name.c_str()) > 0 && H5Adelete(object, name.c_str()) < 0) return false;
  const Handle attribute(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!attribute) return false;
  return (count && *count == 0) || H5Awrite(attribute, type, values) >= 0;
}

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

}  // namespace

std::optional<Attribute> attribute(hid_t object, const std::string& name) {
  const htri_t exists = H5Aexists(object, name.c_str());
  if (exists < 0) refuse(name, "cannot be looked up: " + last_error());
  if (exists == 0) return {};
  const Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose);
  const Handle type(attribute ? H5Aget_type(attribute) : -1, H5Tclose), space(attribute ? H5Aget_space(attribute) : -1, H5Sclose);
  if (!type || !space) refuse(name, "cannot be opened: " + last_error());
  const H5S_class_t form = H5Sget_simple_extent_type(space);
  const hssize_t points = form == H5S_NULL ? 0 : H5Sget_simple_extent_npoints(space);
  if (points < 0 || (form == H5S_SIMPLE && H5Sget_simple_extent_ndims(space) > 1)) return {};
  if (uint64_t(points) > kMaxBytes / 8) refuse(name, concat(points, " values"));
  const auto count = size_t(points);
  const bool scalar = form == H5S_SCALAR;
  switch (H5Tget_class(type)) {
    case H5T_STRING: {
      std::vector<std::string> texts = read_texts(attribute, type, space, count, name);
      if (scalar) return texts.at(0);
      return texts;
    }
    case H5T_INTEGER: return read_numbers<int64_t>(attribute, H5T_NATIVE_INT64, count, scalar, name);
    case H5T_FLOAT: return read_numbers<double>(attribute, H5T_NATIVE_DOUBLE, count, scalar, name);
    default: return {};
  }
}

bool write_attribute(hid_t object, const std::string& name, const Attribute& value) {
  return std::visit(
      [&]<class T>(const T& v) {
        if constexpr (std::is_same_v<T, std::string>) {
          const char* text = v.c_str();
          return write(object, name, text_type(), nullptr, &text);
        } else if constexpr (std::is_same_v<T, int64_t>) {
          return write(object, name, H5T_NATIVE_INT64, nullptr, &v);
        } else if constexpr (std::is_same_v<T, double>) {
          return write(object, name, H5T_NATIVE_DOUBLE, nullptr, &v);
        } else {
          const hsize_t count = v.size();
          if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            std::vector<const char*> texts;
            for (const std::string& t : v) texts.push_back(t.c_str());
            return write(object, name, text_type(), &count, texts.data());
          } else {
            return write(object, name, std::is_same_v<T, std::vector<int64_t>> ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, &count, v.data());
          }
        }
      },
      value);
}

}  // namespace ptrain::hdf5
