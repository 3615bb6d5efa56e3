#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "layers/hdf5_driver.hpp"
#include "tools/export/exports.hpp"

namespace ptrain::exports {
namespace fs = std::filesystem;
using hdf5::Handle;

namespace {

[[noreturn]] void fail_saving(const fs::path& to, const std::string& why) { fail(ErrorKind::failed, "saving ", to.string(), ": ", why); }

// A file beside the target, which goes away unless it became the target.
struct Temporary {
  fs::path name;
  hdf5::Descriptor file;
  explicit Temporary(const fs::path& to) : name(to.parent_path() / concat(".", to.filename().string(), ".", getpid(), ".tmp")) {
    file.fd = open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.fd < 0) fail_saving(to, std::strerror(errno));
  }
  ~Temporary() {
    close(file.fd);
    unlink(name.c_str());
  }
};

}  // namespace

void write_hdf5(const fs::path& to, const std::function<void(hid_t file)>& fill) {
  Temporary temporary(to);
  {
    const hdf5::Session session;
    Handle file = hdf5::create_descriptor(temporary.file);
    std::string why;
    try {
      fill(file);
      if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 || file.reset() < 0) why = hdf5::last_error();
    } catch (const Error& e) {
      why = e.what();
    }
    if (temporary.file.write_errno != 0) why = std::strerror(temporary.file.write_errno);
    if (!why.empty()) fail_saving(to, why);
  }
  if (fsync(temporary.file.fd) != 0 || rename(temporary.name.c_str(), to.c_str()) != 0) fail_saving(to, std::strerror(errno));
}

Handle make_group(hid_t at, const std::string& name) {
  if (H5Lexists(at, name.c_str(), H5P_DEFAULT) > 0) return {H5Gopen2(at, name.c_str(), H5P_DEFAULT), H5Gclose};
  Handle made(H5Gcreate2(at, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (!made) fail(ErrorKind::failed, "creating the group ", name, ": ", hdf5::last_error());
  return made;
}

void make_dataset(hid_t at, const std::string& name, const ExportWeight& w) {
  std::array<hsize_t, 4> dims{};
  for (int i = 0; i < w.shape.rank(); ++i) dims[size_t(i)] = hsize_t(w.shape[i]);
  const Handle options(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(options, false);  // the same model gives the same bytes
  const Handle space(H5Screate_simple(w.shape.rank(), dims.data(), nullptr), H5Sclose);
  const Handle made(H5Dcreate2(at, name.c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT, options, H5P_DEFAULT), H5Dclose);
  if (!made || H5Dwrite(made, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, w.values.data()) < 0)
    fail(ErrorKind::failed, "writing ", name, ": ", hdf5::last_error());
}

void set_attribute(hid_t at, const std::string& name, const Attribute& value) {
  if (!hdf5::write_attribute(at, name, value)) fail(ErrorKind::failed, "writing the attribute ", name, ": ", hdf5::last_error());
}

}  // namespace ptrain::exports
