// Container: .keras, a zip file of metadata.json, config.json and model.weights.h5, stored (as Keras does) or deflated.
#include "tools/convert/keras_zip.hpp"

#include <unistd.h>
#include <zip.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "kernels/error.hpp"

namespace ptrain::convert {
namespace {

constexpr zip_uint64_t kMaxText = 64 << 20, kMaxWeights = zip_uint64_t(8) << 30, kMaxRatio = 1032;  // no deflate stream packs better
constexpr zip_int64_t kMaxMembers = 10'000;
constexpr char kWeights[] = "model.weights.h5";

struct CloseZip {
  void operator()(zip_t* z) const { zip_discard(z); }
};
struct CloseMember {
  void operator()(zip_file_t* f) const { zip_fclose(f); }
};
using Zip = std::unique_ptr<zip_t, CloseZip>;
using Member = std::unique_ptr<zip_file_t, CloseMember>;

Zip open_zip(int fd) {
  int code = 0;
  Zip zip(zip_fdopen(fd, 0, &code));  // takes the descriptor over
  if (zip) return zip;
  close(fd);
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  fail(ErrorKind::weights, "a damaged or truncated zip file: ", reason);
}

bool points_outside(const std::string& name) {
  if (name.empty() || name[0] == '/' || name.find('\\') != std::string::npos || name.find(':') != std::string::npos) return true;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (name.compare(begin, end - begin, "..") == 0) return true;
    begin = end + 1;
  }
  return false;
}

std::set<std::string> member_names(zip_t* zip) {
  const zip_int64_t count = zip_get_num_entries(zip, 0);
  if (count < 0 || count > kMaxMembers) fail(ErrorKind::weights, "a zip file of ", count, " members");
  std::set<std::string> names;
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* raw = zip_get_name(zip, zip_uint64_t(i), ZIP_FL_ENC_GUESS);
    const std::string name = raw ? raw : "";
    if (points_outside(name)) fail(ErrorKind::weights, "the zip member '", name, "' points outside of the archive");
    if (!names.insert(name).second) fail(ErrorKind::weights, "the zip file holds '", name, "' twice");
  }
  return names;
}

Member open_member(zip_t* zip, const char* name, zip_uint64_t limit, zip_stat_t& status) {
  zip_stat_init(&status);
  if (zip_stat(zip, name, 0, &status) != 0 || !(status.valid & ZIP_STAT_SIZE) || !(status.valid & ZIP_STAT_COMP_SIZE))
    fail(ErrorKind::weights, "the zip member '", name, "' cannot be found");
  if ((status.valid & ZIP_STAT_ENCRYPTION_METHOD) && status.encryption_method != ZIP_EM_NONE)
    fail(ErrorKind::weights, "the zip member '", name, "' is encrypted");
  if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE)
    fail(ErrorKind::weights, "the zip member '", name, "' is compressed by method ", status.comp_method,
         "; stored and deflated ones are read");
  if (status.size > limit || status.size / kMaxRatio > status.comp_size)
    fail(ErrorKind::weights, "the zip member '", name, "' claims ", status.size, " bytes, packed into ", status.comp_size);
  Member member(zip_fopen(zip, name, 0));
  if (!member) fail(ErrorKind::weights, "the zip member '", name, "' cannot be opened: ", zip_strerror(zip));
  return member;
}

// Calls `take` with each piece of the member; its size and its CRC must be as the directory says.
template <class Take>
void read_member(zip_t* zip, const char* name, zip_uint64_t limit, Take&& take) {
  zip_stat_t status;
  const Member member = open_member(zip, name, limit, status);
  std::vector<char> buffer(1 << 20);
  zip_uint64_t total = 0;
  for (zip_int64_t got; (got = zip_fread(member.get(), buffer.data(), buffer.size())) != 0;) {
    if (got < 0) fail(ErrorKind::weights, "the zip member '", name, "' is damaged: ", zip_file_strerror(member.get()));
    total += zip_uint64_t(got);
    if (total > status.size) fail(ErrorKind::weights, "the zip member '", name, "' unpacks to more than it claims");
    take(buffer.data(), size_t(got));
  }
  if (total != status.size) fail(ErrorKind::weights, "the zip member '", name, "' has ", total, " of ", status.size, " bytes");
}

std::string read_text(zip_t* zip, const char* name) {
  std::string text;
  read_member(zip, name, kMaxText, [&](const char* data, size_t size) { text.append(data, size); });
  return text;
}

void write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t put = write(fd, data, size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail(ErrorKind::weights, "unpacking ", kWeights, ": ", std::strerror(errno));
    data += put, size -= size_t(put);
  }
}

}  // namespace

bool is_zip(int fd) {
  std::array<char, 4> start{};
  return pread(fd, start.data(), start.size(), 0) == 4 && std::memcmp(start.data(), "PK\3\4", 4) == 0;
}

KerasZip unpack_keras(int in, int out) {
  const Zip zip = open_zip(in);
  const std::set<std::string> names = member_names(zip.get());
  if (!names.contains(kWeights)) {
    for (const char* other : {"model.weights.json", "model.weights.npz", "data.pkl", "archive/data.pkl"})
      if (names.contains(other))
        fail(ErrorKind::weights, "a zip file with '", other, "' instead of ", kWeights,
             other[0] == 'm' ? ": save the model without shards, as .keras with HDF5 weights" : "");
    fail(ErrorKind::weights, "a zip file without ", kWeights, names.contains("config.json") ? ": a .keras file that holds no weights" : "");
  }
  KerasZip k;
  if (names.contains("metadata.json")) {
    const auto meta = nlohmann::json::parse(read_text(zip.get(), "metadata.json"), nullptr, false);
    if (meta.is_object() && meta.contains("keras_version") && meta["keras_version"].is_string()) k.keras_version = meta["keras_version"];
  }
  if (names.contains("config.json")) k.config = read_text(zip.get(), "config.json");
  bool first = true;
  read_member(zip.get(), kWeights, kMaxWeights, [&](const char* data, size_t size) {
    if (std::exchange(first, false) && (size < 8 || std::memcmp(data, "\x89HDF\r\n\x1a\n", 8) != 0))
      fail(ErrorKind::weights, kWeights, " inside is not an HDF5 file");
    write_all(out, data, size);
  });
  return k;
}

}  // namespace ptrain::convert
