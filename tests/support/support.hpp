// defines: what every test uses: comparisons that no NaN passes, skipping that is never silent, golden files
#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace ptrain::test {

// |got − want| ≤ atol + rtol·|want|; false for NaN on either side, and an infinity is close to itself alone.
inline bool close(double got, double want, double atol, double rtol) {
  return got == want || (std::isfinite(want) && std::fabs(got - want) <= atol + rtol * std::fabs(want));
}

// "" when every element is close; else how many are not, the index of the worst, and both its values.
std::string difference(std::span<const double> got, std::span<const double> want, double atol, double rtol);
std::string difference(std::span<const float> got, std::span<const float> want, double atol, double rtol);

std::filesystem::path source_dir();  // of this checkout
std::filesystem::path bin_dir();     // where the build has put its programs

// The folder of golden files, data and weights beside the checkout (PTRAIN_SHARED names another), or an empty path.
std::filesystem::path shared();

// True when `path` is there. Otherwise says SKIPPED and why; a failure instead when PTRAIN_REQUIRE names `what`.
bool present(const char* what, const std::filesystem::path& path);
// Says SKIPPED (or fails, as above): for devices and programs that are not here.
void skip(const char* what, const std::string& why);

using Row = std::map<std::string, std::string>;
std::vector<Row> read_tsv(const std::filesystem::path& path);  // by the names in the first line
nlohmann::json read_json(const std::filesystem::path& path);
std::string read_file(const std::filesystem::path& path);

struct Array {
  std::vector<int64_t> shape;
  std::vector<double> values;
};
Array parse_npy(const std::string& bytes);
Array read_npy(const std::filesystem::path& path);
std::map<std::string, Array> read_npz(const std::filesystem::path& path);  // members stored, not deflated
std::string unzstd(const std::filesystem::path& path);                     // the unpacked bytes

// A folder that goes away with this object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Runs a program, waits, and returns its exit code (128 + signal when it was killed) and what it wrote.
struct Finished {
  int code = 0;
  std::string out, err;
};
Finished run(const std::vector<std::string>& command, const std::map<std::string, std::string>& environment = {});

}  // namespace ptrain::test

// Ends the test case unless the golden files are there.
#define NEEDS_GOLDENS(...) \
  if (!ptrain::test::present("goldens", ptrain::test::shared() / "keras" __VA_OPT__(/ __VA_ARGS__))) return
