// .keras: a zip file of metadata.json, config.json and model.weights.h5, stored and not deflated, as Keras writes it.
#include <unistd.h>
#include <zip.h>

#include <memory>

#include "tools/export/exports.hpp"

namespace ptrain::exports {
namespace {

namespace fs = std::filesystem;

struct Discard {
  void operator()(zip_t* z) const { zip_discard(z); }
};
struct Remove {
  fs::path path;
  ~Remove() { unlink(path.c_str()); }
};

void add_member(zip_t* zip, const char* name, zip_source_t* source) {
  const zip_int64_t index = source ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
  if (index < 0) {
    if (source) zip_source_free(source);
    fail(ErrorKind::failed, "adding ", name, ": ", zip_strerror(zip));
  }
  zip_set_file_compression(zip, zip_uint64_t(index), ZIP_CM_STORE, 0);
  zip_file_set_dostime(zip, zip_uint64_t(index), 0, 33, 0);  // 1980-01-01: the same model gives the same bytes
}

}  // namespace

void write_keras(const ExportModel& m, const fs::path& to) {
  const auto beside = [&](const char* end) { return to.parent_path() / concat(".", to.filename().string(), ".", getpid(), end); };
  const Remove weights{beside(".weights.tmp")}, whole{beside(".zip.tmp")};
  write_keras_weights(m, weights.path);
  const std::string config = keras_config(m).dump();
  const std::string meta = nlohmann::json{{"keras_version", kKerasVersion}, {"date_saved", "1980-01-01@00:00:00"}}.dump();

  int code = 0;
  std::unique_ptr<zip_t, Discard> zip(zip_open(whole.path.c_str(), ZIP_CREATE | ZIP_EXCL, &code));
  if (!zip) fail(ErrorKind::failed, "saving ", to.string(), ": a temporary file beside it cannot be made (libzip error ", code, ")");
  const auto text = [&](const std::string& t) { return zip_source_buffer(zip.get(), t.data(), t.size(), 0); };
  add_member(zip.get(), "metadata.json", text(meta));
  add_member(zip.get(), "config.json", text(config));
  add_member(zip.get(), "model.weights.h5", zip_source_file(zip.get(), weights.path.c_str(), 0, -1));
  if (zip_close(zip.get()) != 0) fail(ErrorKind::failed, "saving ", to.string(), ": ", zip_strerror(zip.get()));
  static_cast<void>(zip.release());
  std::error_code error;
  fs::rename(whole.path, to, error);
  if (error) fail(ErrorKind::failed, "saving ", to.string(), ": ", error.message());
}

}  // namespace ptrain::exports
