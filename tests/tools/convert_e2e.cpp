// The program itself: its streams, exit codes and memory.
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>

#include "tests/tools/support/convert_support.hpp"
#include "tests/tools/support/write_keras.hpp"

extern char** environ;

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

const std::string kProgram = (bin_dir() / "ptrain-convert").string();

size_t entries(const fs::path& folder) { return size_t(std::distance(fs::directory_iterator(folder), fs::directory_iterator())); }

}  // namespace

TEST_CASE("ptrain-convert: a file converts and the report says what it was") {
  const TempDir dir;
  const std::string in = (dir / "k.h5").string(), out = (dir / "w.h5").string();
  write_legacy_h5(in, convert::find_layout(layouts(), "mobilenet_v2"));
  const Finished text = run({kProgram, in, "--out", out});
  CHECK(text.code == 0);
  CHECK(text.err == "");
  for (const char* part :
       {"260/260 tensors, 0 unused", "mobilenet_v2 (MobileNetV2), without top", "3.15.1 on tensorflow", "2257984", "SHA-256", "legacy .h5"})
    CHECK(text.out.find(part) != std::string::npos);

  const Finished json = run({kProgram, in, "--out", out, "--net", "MobileNetV2", "--json"});
  CHECK(json.code == 0);
  const nlohmann::json j = nlohmann::json::parse(json.out);
  CHECK(j["ok"] == true);
  CHECK(j["net"] == "mobilenet_v2");
  CHECK(j["top"] == false);
  CHECK(j["tensors"]["found"] == 260);
  CHECK(j["tensors"]["unused"] == 0);
  CHECK(j["parameters"] == 2257984);
  const Finished sums = run({"sha256sum", in, out});
  CHECK(sums.out.find(j["input"]["sha256"].get<std::string>()) != std::string::npos);
  CHECK(sums.out.find(j["output"]["sha256"].get<std::string>()) != std::string::npos);
  CHECK(j["output"]["bytes"] == fs::file_size(out));

  const WeightFileReader model(out);
  CHECK(model.text("net") == "mobilenet_v2");
  CHECK(model.text("preprocessing") == "tf");
  CHECK(std::get<std::vector<int64_t>>(model.attributes().at("input_size")) == std::vector<int64_t>{224, 224});
  CHECK(test::read_file(out).find(j["input"]["sha256"].get<std::string>()) != std::string::npos);  // /converted_sha256
  CHECK(model.integer("top") == 0);
}

TEST_CASE("ptrain-convert: usage errors exit with 2 and refusals with 4") {
  const TempDir dir;
  const std::string good = (dir / "k.h5").string(), out = (dir / "w.h5").string();
  write_legacy_h5(good, convert::find_layout(layouts(), "mobilenet_v2"));
  std::ofstream(dir / "text.h5") << "no weights\x1b[31m";
  struct Case {
    int code;
    const char* part;
    std::vector<std::string> arguments;
  };
  const Case cases[] = {
      {2, "FILE is required", {}},
      {2, "--out W.h5 is missing", {good}},
      {2, "unknown net 'vgg19': known are vgg16", {good, "--out", out, "--net", "vgg19"}},
      {2, "--surprise", {good, "--out", out, "--surprise"}},
      {2, "would write over the file itself", {good, "--out", good}},
      {4, "holds MobileNetV2 (mobilenet_v2), not ResNet50 (resnet50)", {good, "--out", out, "--net", "resnet50"}},
      {4, "No such file", {(dir / "none.h5").string(), "--out", out}},
      {4, "a folder", {dir.path().string(), "--out", out}},
      {4, "not a regular file", {"/dev/zero", "--out", out}},
      {4, "something unknown", {(dir / "text.h5").string(), "--out", out}},
      {4, "saving ", {good, "--out", (dir / "no" / "w.h5").string()}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.part);
    std::vector<std::string> command = {kProgram};
    command.insert(command.end(), c.arguments.begin(), c.arguments.end());
    const Finished f = run(command);
    CHECK(f.code == c.code);
    CHECK(f.out == "");
    CHECK(f.err.find(c.part) != std::string::npos);
    CHECK(f.err.find('\x1b') == std::string::npos);
    CHECK(entries(dir.path()) == 2);
  }
  const Finished json = run({kProgram, (dir / "text.h5").string(), "--out", out, "--json"});
  CHECK(json.code == 4);
  CHECK(nlohmann::json::parse(json.out)["ok"] == false);
  const Finished check = run({kProgram, good, "--check", "--out", out, "--json"});
  CHECK(check.code == 0);
  CHECK(!nlohmann::json::parse(check.out).contains("output"));
  CHECK(entries(dir.path()) == 2);
  CHECK(run({kProgram, "--help"}).code == 0);
}

TEST_CASE("ptrain-convert: half a gigabyte passes through little memory") {
  NEEDS_GOLDENS("dialects");
  const TempDir dir;
  const std::string in = unpack("dialects", "VGG16_top_official.h5.zst", dir).string(), out = (dir / "w.h5").string();
  const char* argv[] = {kProgram.c_str(), in.c_str(), "--out", out.c_str(), nullptr};
  pid_t pid = 0;
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(posix_spawn(&pid, argv[0], nullptr, nullptr, const_cast<char**>(argv), environ) == 0);
  int status = 0;
  rusage used{};
  REQUIRE(wait4(pid, &status, 0, &used) == pid);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  CHECK(WEXITSTATUS(status) == 0);
  MESSAGE("553 MB converted in ", seconds, " s, at most ", used.ru_maxrss / 1024, " MiB in one process");
  CHECK(used.ru_maxrss < 100 * 1024);
}
