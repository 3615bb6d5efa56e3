// Backends that are libraries of their own: what is said where there is no GPU, and what the environment asks of the CUDA backend.
#include "kernels/plugin.hpp"

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// An environment variable for as long as this lives.
struct Setting {
  Setting(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Setting() { unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
};

Target cuda_sim() { return {make_cuda_sim_backend(), DType::float32, false, true}; }

// y of one convolution of 3x3 windows on fixed numbers.
std::vector<double> one_convolution(const Target& target) {
  const ConvShape s{.n = 1, .h = 5, .w = 5, .c = 4, .k = 3, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  Trial t(target);
  const Guarded &x = t.input(numbers(1, s.x_size())), &w = t.input(numbers(2, s.w_size())), &y = t.output(s.y_size());
  t.backend().conv_forward(t.exec(), s, x, w, y);
  return t.read(y);
}

}  // namespace

TEST_CASE("cuda without a GPU is one line of kind device that says what to do") {
  const GpuCount gpus = count_gpus();
  if (gpus.count > 0) {
    MESSAGE("SKIPPED: this machine has a GPU");
    return;
  }
  CHECK_FALSE(gpus.why_none.empty());
  try {
    make_cuda_backend(0);
    FAIL("a GPU was opened");
  } catch (const Error& e) {
    const std::string text = e.what();
    CHECK(e.kind() == ErrorKind::device);
    CHECK_MESSAGE(text.find(gpus.why_none) != std::string::npos, text);
    CHECK_MESSAGE(text.find("use --device cpu") != std::string::npos, text);
    CHECK_MESSAGE(text.find('\n') == std::string::npos, text);
  }
}

TEST_CASE("PTRAIN_DEBUG=3 names the operation, the layer and the element that is not finite") {
  const Setting debug("PTRAIN_DEBUG", "3");
  const Target target = cuda_sim();
  Trial t(target);
  t.exec().label = "block_1_expand";
  const Guarded &x = t.input({1, 2, NAN, 4}), &y = t.output(4);
  try {
    t.backend().act_forward(t.exec(), Act::none, x, y);
    FAIL("nothing was said");
  } catch (const Error& e) {
    const std::string text = e.what();
    CHECK(e.kind() == ErrorKind::diverged);
    for (const char* part : {"act_forward", "block_1_expand", "element 2"}) CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  }
  t.backend().act_forward(t.exec(), Act::none, t.input({1, 2, 3, 4}), y);
}

TEST_CASE("convolutions are in TF32 only when asked for") {
  const std::vector<double> exact = one_convolution({make_reference_backend(), DType::float32, true}), plain = one_convolution(cuda_sim());
  const Setting tf32("PTRAIN_TF32", "1");
  const std::vector<double> rounded = one_convolution(cuda_sim());
  CHECK(difference(plain, exact, 1e-5, 0) == "");
  CHECK(difference(rounded, exact, 1e-5, 0) != "");
  CHECK(difference(rounded, exact, 2e-2, 0) == "");
}

TEST_CASE("autotune measures a convolution once and keeps what it chose in its file") {
  const std::filesystem::path file = std::filesystem::temp_directory_path() / concat("ptrain_autotune_", getpid(), ".tsv");
  const Setting autotune("PTRAIN_AUTOTUNE", file.string());
  const auto lines = [&] {
    std::ifstream in(file);
    int64_t n = 0;
    for (std::string line; std::getline(in, line);) ++n;
    return n;
  };
  const std::vector<double> first = one_convolution(cuda_sim());
  CHECK(lines() == 1);
  const std::vector<double> again = one_convolution(cuda_sim());
  CHECK(lines() == 1);
  CHECK(difference(again, first, 0, 0) == "");
  std::filesystem::remove(file);
}
