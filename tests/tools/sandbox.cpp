#include "tools/convert/sandbox.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "tools/convert/channel.hpp"

using namespace ptrain;
using namespace ptrain::convert;
using namespace ptrain::test;

namespace {

constexpr SandboxLimits kLimits{.memory_bytes = 64 << 20, .written_bytes = 4096, .cpu_seconds = 1, .cpu_seconds_max = 2};

// What the child writes to the pipe, and how it ended.
std::pair<std::string, std::string> run_child(std::initializer_list<int> keep, const std::function<void(int)>& body,
                                              const SandboxLimits& limits = kLimits) {
  Sandbox s(limits, keep, body);
  std::string said;
  char c;
  while (read(s.pipe(), &c, 1) == 1) said += c;
  return {said, s.finish(false)};
}

void say(int pipe, const std::string& text) {
  if (write(pipe, text.data(), text.size()) < 0) std::abort();
}

}  // namespace

TEST_CASE("sandbox: what the child says arrives") {
  const auto [said, end] = run_child({}, [](int pipe) { say(pipe, "hello"); });
  CHECK(said == "hello");
  CHECK(end == "");
}

TEST_CASE("sandbox: crashes and loops end the child alone") {
  CHECK(run_child({}, [](int) { throw 1; }).second.find("ended with code 1") != std::string::npos);
  CHECK(run_child({}, [](int) { std::raise(SIGKILL); }).second != "");
  if (kSanitized) return;  // its handlers turn these into something else
  CHECK(run_child({}, [](int) { std::raise(SIGSEGV); }).second.find("crashed (SIGSEGV)") != std::string::npos);
  CHECK(run_child({}, [](int) { std::abort(); }).second.find("crashed (SIGABRT)") != std::string::npos);
  CHECK(run_child({}, [](int) {
          for (std::atomic<int> i{0};; ++i) {}
        }).second.find("too much processor time") != std::string::npos);
}

TEST_CASE("sandbox: memory and files have limits") {
  if (kSanitized) return skip("sandbox", "address space is not limited under a sanitizer");
  CHECK(run_child({}, [](int pipe) {
          const std::unique_ptr<void, void (*)(void*)> much(std::malloc(size_t(1) << 30), std::free);
          say(pipe, much ? "a gigabyte" : "refused");
        }).first == "refused");
  const TempDir dir;
  const int file = open((dir / "f").c_str(), O_RDWR | O_CREAT, 0600), other = open("/dev/null", O_RDONLY);
  CHECK(run_child({file}, [&](int pipe) {
          const std::vector<char> bytes(4096);
          const bool first = write(file, bytes.data(), bytes.size()) == 4096;
          say(pipe, first ? "one " : "none ");
          say(pipe, fcntl(other, F_GETFD) < 0 ? "closed" : "open");
        }).first == "one closed");
  CHECK(run_child({file}, [&](int) {
          const std::vector<char> bytes(4096);
          while (write(file, bytes.data(), bytes.size()) > 0) {}
        }).second.find("unpacks to more than it claims") != std::string::npos);
  close(file), close(other);
}

TEST_CASE("sandbox: no files and no network") {
  if (!has_seccomp()) return skip("seccomp", "this kernel or this build has no seccomp filter");
  CHECK(run_child({}, [](int pipe) {
          const auto refused = [&](long result) { say(pipe, result < 0 && errno == EPERM ? "no " : "YES "); };
          refused(open("/etc/passwd", O_RDONLY));
          refused(open("/tmp/ptrain-sandbox", O_WRONLY | O_CREAT, 0600));
          refused(socket(AF_INET, SOCK_STREAM, 0));
          refused(fork());
          refused(unlink("/tmp/ptrain-sandbox"));
          refused(kill(getpid(), 0));
          char* none[] = {nullptr};
          refused(execve("/bin/true", none, none));
        }).first == "no no no no no no no ");
}

TEST_CASE("frames: nonsense from the child is an error") {
  const auto read_frames = [](const std::string& bytes) -> std::string {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    if (write(ends[1], bytes.data(), bytes.size()) != ssize_t(bytes.size())) return "write failed";
    close(ends[1]);
    FrameReader reader(ends[0], FrameReader::Clock::now() + std::chrono::seconds(5));
    std::string got;
    try {
      while (reader.next()) got += std::to_string(int(reader.type())) + ":" + reader.text() + " ";
      got += reader.late() ? "late" : "end";
    } catch (const std::exception& e) {
      got += "error";
    }
    close(ends[0]);
    return got;
  };
  const auto frame = [](uint32_t type, uint64_t size, const std::string& data) {
    std::string f(16, '\0');
    std::memcpy(f.data(), &type, 4), std::memcpy(f.data() + 8, &size, 8);
    return f + data;
  };
  CHECK(read_frames(frame(1, 2, "ab") + frame(5, 3, "why")) == "1:ab 5:why end");
  CHECK(read_frames(frame(1, 5, "ab")) == "end");  // cut off
  CHECK(read_frames(frame(1, 2, "ab").substr(0, 9)) == "end");
  CHECK(read_frames(frame(9, 2, "ab")) == "error");
  CHECK(read_frames(frame(0, 2, "ab")) == "error");
  CHECK(read_frames(frame(1, uint64_t(1) << 40, "ab")) == "error");
  CHECK(read_frames(frame(3, 8, "12345678")) == "error");  // no rows are expected yet
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  FrameReader slow(ends[0], FrameReader::Clock::now() + std::chrono::milliseconds(50));
  CHECK(!slow.next());
  CHECK(slow.late());
  close(ends[0]), close(ends[1]);
}

TEST_CASE("frames: the place of a tensor") {
  const std::string bytes = Place{uint64_t(1) << 40, "layers/conv2d/vars/0"}.to_bytes();
  const Place p = Place::from_bytes({bytes.begin(), bytes.end()});
  CHECK(p.offset == uint64_t(1) << 40);
  CHECK(p.name == "layers/conv2d/vars/0");
  CHECK_THROWS_AS(Place::from_bytes(std::vector<char>(7)), Error);
}

TEST_CASE("frames: only finite numbers are finite") {
  CHECK(all_finite(std::vector<float>{0, -0.f, 1e38f, -1e-45f}));
  for (const float bad : {std::nanf(""), -std::nanf(""), INFINITY, -INFINITY}) CHECK(!all_finite(std::vector<float>{1, 2, bad, 3}));
}
