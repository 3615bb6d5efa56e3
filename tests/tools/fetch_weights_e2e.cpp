// tools/fetch-weights against a server on loopback, with a table of the test's own files.
#include "tests/tools/program.hpp"
#include "tests/tools/support/convert_support.hpp"
#include "tests/tools/support/web_server.hpp"
#include "tests/tools/support/write_keras.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

using Files = std::map<std::string, std::string>;
constexpr char kPath[] = "mobilenet_v2/official.h5";

// A ptrain-convert whose table of official files is the given one, and the command that uses it.
struct Fetch {
  TempDir dir;
  std::string official;  // bytes of MobileNetV2 as Keras writes it

  Fetch() {
    write_legacy_h5(dir / "official.h5", convert::find_layout(layouts(), "mobilenet_v2"));
    official = read_file(dir / "official.h5");
  }
  std::string md5() const { return run({"md5sum", (dir / "official.h5").string()}).out.substr(0, 32); }
  Finished operator()(const std::string& url, const std::string& md5, const std::string& bytes, std::vector<std::string> arguments) const {
    write_file(dir / "convert", "#!/bin/sh\nif [ \"$1\" = --list-official ]; then printf 'mobilenet_v2\\tnotop\\t" + std::string(kPath) +
                                    "\\t" + md5 + "\\t" + bytes + "\\n'; else exec '" + bin("ptrain-convert").string() + "' \"$@\"; fi\n");
    fs::permissions(dir / "convert", fs::perms::owner_all);
    arguments.insert(arguments.begin(), (source_dir() / "tools/fetch-weights").string());
    arguments.insert(arguments.end(), {"--out", (dir / "weights").string()});
    return run(arguments, {{"PTRAIN_WEIGHTS_URL", url}, {"PTRAIN_CONVERT", (dir / "convert").string()}, {"no_proxy", "127.0.0.1"}});
  }
  size_t files() const { return size_t(std::distance(fs::directory_iterator(dir / "weights"), fs::directory_iterator())); }
};

}  // namespace

TEST_CASE("fetch-weights downloads, verifies and converts") {
  const Fetch fetch;
  WebServer server(Files{{std::string("/") + kPath, fetch.official}});
  const std::string bytes = std::to_string(fetch.official.size()), model = (fetch.dir / "weights" / "mobilenet_v2.h5").string();
  for (const auto& [md5, size] : std::vector<std::pair<std::string, std::string>>{{fetch.md5(), "-"}, {fetch.md5(), bytes}, {"-", bytes}}) {
    const Finished f = fetch(server.url(), md5, size, {"mobilenet_v2"});
    CAPTURE(f.err);
    CHECK(f.code == 0);
    CHECK(f.out == model + "\n");
    CHECK(f.err.find("260/260 tensors, 0 unused") != std::string::npos);
    CHECK((f.err.find("no MD5 is published") != std::string::npos) == (md5 == "-"));
    CHECK(fetch.files() == 1);
    CHECK(server.requests().size() == 1);
    CHECK(WeightFileReader(model).tensors().size() == 260);
    CHECK(fetch(server.url(), md5, size, {"all"}).err.find("is there already") != std::string::npos);
    CHECK(server.requests().empty());
    fs::remove(model);
  }
  CHECK(fetch(server.url(), "-", bytes, {"mobilenet_v2", "--keep"}).code == 0);
  CHECK(fetch.files() == 2);
}

TEST_CASE("fetch-weights goes on where a download broke off") {
  const Fetch fetch;
  WebServer server(Files{{std::string("/") + kPath, fetch.official}});
  const std::string bytes = std::to_string(fetch.official.size()), model = (fetch.dir / "weights" / "mobilenet_v2.h5").string();
  const size_t half = fetch.official.size() / 2 + 1;

  server.break_off_after(half);  // once: the rest comes with the next request
  Finished f = fetch(server.url(), fetch.md5(), bytes, {"mobilenet_v2"});
  CAPTURE(f.err);
  CHECK(f.code == 0);
  CHECK(server.requests() == std::vector<std::string>{std::string("/") + kPath, concat("/", kPath, " from ", half)});
  fs::remove(model);

  server.break_off_after(0);
  const fs::path part = fetch.dir / "weights" / "official.h5.part";
  write_file(part, fetch.official.substr(0, 1000));  // left by a run that was killed
  CHECK(fetch(server.url(), fetch.md5(), bytes, {"mobilenet_v2"}).code == 0);
  CHECK(server.requests() == std::vector<std::string>{concat("/", kPath, " from 1000")});
  fs::remove(model);

  write_file(part, fetch.official);  // all of it had come
  CHECK(fetch(server.url(), fetch.md5(), "-", {"mobilenet_v2"}).code == 0);
  fs::remove(model);

  server.know_ranges(false);  // such a server is asked for all of it
  write_file(part, fetch.official.substr(0, 1000));
  CHECK(fetch(server.url(), fetch.md5(), bytes, {"mobilenet_v2"}).code == 0);
  CHECK(fetch.files() == 1);
}

TEST_CASE("fetch-weights refuses what is not the official file, and says when there is no network") {
  const Fetch fetch;
  WebServer server(Files{{std::string("/") + kPath, fetch.official}});
  const std::string bytes = std::to_string(fetch.official.size());
  const auto expect = [&](int code, const std::string& part, const Finished& f) {
    CAPTURE(f.err);
    CHECK(f.code == code);
    CHECK(f.out == "");
    CHECK(f.err.find(part) != std::string::npos);
  };
  expect(4, "the official file " + std::string(32, 'a') + "; it was removed",
         fetch(server.url(), std::string(32, 'a'), "-", {"mobilenet_v2"}));
  CHECK(fetch.files() == 0);
  expect(4, "the official file 1000; it was removed", fetch(server.url(), "-", "1000", {"mobilenet_v2"}));
  CHECK(fetch.files() == 0);
  {
    WebServer other(Files{{std::string("/") + kPath, std::string(2000, 'x')}});  // of the right size, and not Keras'
    expect(4, "something unknown", fetch(other.url(), "-", "2000", {"mobilenet_v2"}));
  }
  fs::remove_all(fetch.dir / "weights");
  WebServer empty(Files{});
  expect(1, "Is there a network", fetch(empty.url(), "-", "-", {"mobilenet_v2"}));
  expect(1, "Is there a network", fetch("http://127.0.0.1:9", "-", "-", {"mobilenet_v2"}));
  expect(1, "Is there a network", fetch("http://no.such.host.invalid", "-", "-", {"mobilenet_v2"}));
  CHECK(fetch.files() == 0);
  server.break_off_after(1000);
  expect(1, "bytes that came are kept", fetch(server.url(), "-", bytes, {"mobilenet_v2"}));
  expect(2, "unknown net 'vgg19': known are mobilenet_v2, and all", fetch(server.url(), "-", "-", {"vgg19"}));
  expect(2, "which nets?", fetch(server.url(), "-", "-", {}));
  expect(2, "unknown option --surprise", fetch(server.url(), "-", "-", {"--surprise"}));
}

TEST_CASE("the table of official files is the published one") {
  NEEDS_GOLDENS("official_files.tsv");
  std::vector<std::string> want;
  for (const Row& r : read_tsv(shared() / "keras" / "official_files.tsv")) {
    if (r.at("path").empty()) continue;  // of 2016, no longer there
    const auto or_none = [&](const char* key) { return r.at(key).empty() ? std::string("-") : r.at(key); };
    want.push_back(convert::find_layout(layouts(), r.at("net")).net + "\t" + r.at("variant") + "\t" + r.at("path") + "\t" + or_none("md5") +
                   "\t" + or_none("bytes"));
  }
  const Finished f = run({bin("ptrain-convert").string(), "--list-official"});
  CHECK(f.code == 0);
  std::vector<std::string> got;
  std::istringstream lines(f.out);
  for (std::string line; std::getline(lines, line);) got.push_back(line);
  CHECK(got == want);
}
