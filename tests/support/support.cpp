#include "tests/support/support.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "kernels/error.hpp"

extern char** environ;

namespace ptrain::test {
namespace fs = std::filesystem;
namespace {

template <class T>
std::string difference_of(std::span<const T> got, std::span<const T> want, double atol, double rtol) {
  if (got.size() != want.size()) return concat(got.size(), " values, ", want.size(), " wanted");
  size_t bad = 0, worst = 0;
  double worst_error = -1;
  for (size_t i = 0; i < got.size(); ++i) {
    if (close(double(got[i]), double(want[i]), atol, rtol)) continue;
    ++bad;
    const double error = std::fabs(double(got[i]) - double(want[i]));
    if (!(error <= worst_error) && !std::isnan(worst_error)) worst = i, worst_error = error;  // a NaN is the worst of all
  }
  if (bad == 0) return "";
  std::ostringstream text;
  text.precision(9);
  text << bad << " of " << got.size() << " values differ, worst at [" << worst << "]: got " << double(got[worst]) << ", want "
       << double(want[worst]);
  return text.str();
}

bool required(const std::string& what) {
  const char* list = std::getenv("PTRAIN_REQUIRE");
  std::stringstream names(list ? list : "");
  for (std::string name; std::getline(names, name, ',');)
    if (name == what) return true;
  return false;
}

}  // namespace

std::string difference(std::span<const double> got, std::span<const double> want, double atol, double rtol) {
  return difference_of(got, want, atol, rtol);
}
std::string difference(std::span<const float> got, std::span<const float> want, double atol, double rtol) {
  return difference_of(got, want, atol, rtol);
}

fs::path shared() {
  if (const char* named = std::getenv("PTRAIN_SHARED")) return named;
  return source_dir() / ".." / "shared";
}

void skip(const char* what, const std::string& why) {
  if (required(what)) FAIL_CHECK("PTRAIN_REQUIRE names ", what, ", but ", why);
  else std::printf("SKIPPED: %s\n", why.c_str());
}

bool present(const char* what, const fs::path& path) {
  if (fs::exists(path)) return true;
  skip(what, path.filename().string() + " is not here (set PTRAIN_SHARED to the folder that holds keras/, data/ and weights/)");
  return false;
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE_THAT(in, "cannot read ", path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Row> read_tsv(const fs::path& path) {
  std::istringstream in(read_file(path));
  const auto fields = [](const std::string& line) {
    std::vector<std::string> parts(1);
    for (char ch : line)
      if (ch == '\t') parts.emplace_back();
      else parts.back() += ch;
    return parts;
  };
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> names = fields(line);
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    const std::vector<std::string> parts = fields(line);
    Row row;
    for (size_t i = 0; i < names.size(); ++i) row[names[i]] = i < parts.size() ? parts[i] : "";
    rows.push_back(std::move(row));
  }
  return rows;
}

nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(read_file(path)); }

Array parse_npy(const std::string& bytes) {
  REQUIRE_THAT(bytes.size() > 10 && bytes.compare(0, 6, "\x93NUMPY") == 0 && bytes[6] == 1, "not a version 1 .npy file");
  const size_t header_size = size_t(uint8_t(bytes[8])) | size_t(uint8_t(bytes[9])) << 8;
  const std::string header = bytes.substr(10, header_size);
  REQUIRE_THAT(header.find("'fortran_order': False") != std::string::npos, "a .npy file in Fortran order");
  Array a;
  std::istringstream dims(header.substr(header.find('(') + 1));
  int64_t count = 1;
  for (int64_t d; dims >> d;) {
    a.shape.push_back(d), count *= d;
    while (dims.peek() == ',' || dims.peek() == ' ') dims.get();
  }
  const char* data = bytes.data() + 10 + header_size;
  const auto read = [&]<class T>(T) {
    REQUIRE_THAT(bytes.size() >= 10 + header_size + size_t(count) * sizeof(T), "a truncated .npy file");
    for (int64_t i = 0; i < count; ++i) {
      T v;
      std::memcpy(&v, data + size_t(i) * sizeof(T), sizeof(T));
      a.values.push_back(double(v));
    }
  };
  const auto is = [&](const char* type) { return header.find(concat("'", type, "'")) != std::string::npos; };
  if (is("<f4")) read(float{});
  else if (is("<f8")) read(double{});
  else if (is("|u1")) read(uint8_t{});
  else if (is("<i4")) read(int32_t{});
  else if (is("<i8")) read(int64_t{});
  else fail(ErrorKind::failed, "a .npy type this reader does not know: ", header);
  return a;
}

Array read_npy(const fs::path& path) { return parse_npy(read_file(path)); }

std::map<std::string, Array> read_npz(const fs::path& path) {
  const std::string zip = read_file(path);
  const auto number = [&](size_t at, int bytes) {
    size_t v = 0;
    for (int i = 0; i < bytes; ++i) v |= size_t(uint8_t(zip.at(at + size_t(i)))) << (8 * i);
    return v;
  };
  std::map<std::string, Array> arrays;
  size_t at = 0;
  while (number(at, 4) == 0x04034b50) {  // local file headers, one after the other
    REQUIRE_THAT(number(at + 8, 2) == 0, "a deflated member in ", path.string());
    const size_t size = number(at + 18, 4), name_size = number(at + 26, 2), extra = number(at + 28, 2);
    std::string name = zip.substr(at + 30, name_size);
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    arrays[name] = parse_npy(zip.substr(at + 30 + name_size + extra, size));
    at += 30 + name_size + extra + size;
  }
  return arrays;
}

std::string unzstd(const fs::path& path) {
  Finished f = run({"zstd", "-d", "-q", "--long=27", "-c", path.string()});
  REQUIRE_THAT(f.code == 0, "zstd of ", path.string(), ": ", f.err);
  return std::move(f.out);
}

TempDir::TempDir() {
  std::string name = (fs::temp_directory_path() / "ptrain-test-XXXXXX").string();
  REQUIRE_THAT(mkdtemp(name.data()), "cannot make a temporary folder");
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Finished run(const std::vector<std::string>& command, const std::map<std::string, std::string>& environment) {
  const TempDir temp;
  const std::string out = (temp / "out").string(), err = (temp / "err").string();
  std::vector<char*> argv;
  for (const std::string& a : command) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> settings;
  for (char** e = environ; *e; ++e)
    if (!environment.contains(std::string(*e, std::strcspn(*e, "=")))) settings.emplace_back(*e);
  for (const auto& [name, value] : environment) settings.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& s : settings) envp.push_back(s.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE_THAT(failed == 0, "cannot start ", command[0], ": ", std::strerror(failed));
  int status = 0;
  REQUIRE_THAT(waitpid(pid, &status, 0) == pid, "waiting for ", command[0]);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out), read_file(err)};
}

}  // namespace ptrain::test
