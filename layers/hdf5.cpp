#include "layers/hdf5.hpp"

#include "layers/hdf5_lzf.hpp"

#include <algorithm>

namespace ptrain::hdf5 {
namespace {

std::recursive_mutex& library_lock() {
  static std::recursive_mutex lock;
  return lock;
}

[[noreturn]] void refuse(const std::string& what) { fail(ErrorKind::weights, what); }

// Calls `visit` for each; C++ exceptions must not pass through the C library, so a full list stops the iteration instead.
herr_t collect_child(hid_t, const char* name, const H5L_info_t* info, void* to) {
  auto& list = *static_cast<std::vector<Child>*>(to);
  if (list.size() > kMaxChildren) return 1;
  list.push_back({name, info->type});
  return 0;
}

herr_t collect_attribute(hid_t, const char* name, const H5A_info_t*, void* to) {
  auto& list = *static_cast<std::vector<std::string>*>(to);
  if (list.size() > kMaxChildren) return 1;
  list.emplace_back(name);
  return 0;
}

herr_t collect_error(unsigned, const H5E_error2_t* error, void* to) {
  auto& text = *static_cast<std::string*>(to);
  if (!error->desc || text.find(error->desc) != std::string::npos) return 0;
  if (!text.empty()) text += "; ";
  text += error->desc;
  return text.size() > 300 ? 1 : 0;
}

const char* link_kind(H5L_type_t type) {
  switch (type) {
    case H5L_TYPE_SOFT: return "a soft link";
    case H5L_TYPE_EXTERNAL: return "an external link (it would read another file)";
    default: return "a user-defined link";
  }
}

}  // namespace

Session::Session() : lock_(library_lock()) {
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);
  register_lzf();
}

Session::~Session() { H5Eset_auto2(H5E_DEFAULT, print_, print_data_); }

std::string last_error() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect_error, &text);  // innermost first
  return text.empty() ? "HDF5 gives no reason" : text;
}

std::vector<Child> children(hid_t group) {
  std::vector<Child> list;
  const Handle made(H5Gget_create_plist(group), H5Pclose);
  unsigned order = 0;
  const bool by_creation = made && H5Pget_link_creation_order(made, &order) >= 0 && (order & H5P_CRT_ORDER_INDEXED);
  if (H5Literate(group, by_creation ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME, H5_ITER_INC, nullptr, collect_child, &list) < 0)
    refuse("a group cannot be listed: " + last_error());
  if (list.size() > kMaxChildren) refuse(concat("a group holds more than ", kMaxChildren, " things"));
  for (const Child& c : list)
    if (c.name.size() > kMaxName) refuse(concat("a name of ", c.name.size(), " characters"));
  return list;
}

Object open_child(hid_t group, const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.size() > kMaxName || name.find('/') != std::string::npos)
    refuse("'" + name.substr(0, kMaxName) + "' is no name of an object");
  H5L_info_t link;
  if (H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT) < 0) refuse("there is no '" + name + "'");
  if (link.type != H5L_TYPE_HARD) refuse(concat("'", name, "' is ", link_kind(link.type)));
  Handle object(H5Oopen(group, name.c_str(), H5P_DEFAULT), H5Oclose);
  H5O_info_t info;
  if (!object || H5Oget_info(object, &info) < 0) refuse("'" + name + "' cannot be opened: " + last_error());
  const ObjectKind kind = info.type == H5O_TYPE_GROUP     ? ObjectKind::group
                          : info.type == H5O_TYPE_DATASET ? ObjectKind::dataset
                                                          : ObjectKind::other;
  return {std::move(object), kind, uint64_t(info.addr)};
}

std::vector<std::string> attribute_names(hid_t object) {
  std::vector<std::string> names;
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect_attribute, &names) < 0)
    refuse("attributes cannot be listed: " + last_error());
  if (names.size() > kMaxChildren) refuse(concat("more than ", kMaxChildren, " attributes"));
  return names;
}

}  // namespace ptrain::hdf5
