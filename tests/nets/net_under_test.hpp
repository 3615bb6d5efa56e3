// defines: a net with formula weights on one device, and how its passes are run in the golden tests
#pragma once

#include "layers/formula.hpp"
#include "nets/build.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

// A device and the factor by which its float32 tolerance is wider than that of the goldens.
struct DeviceUnderTest {
  DeviceKind kind;
  double slack;
};

// A net (with top, or with whatever `apply` adds to it) on one device. `size` is {height, width}.
struct NetUnderTest {
  NetUnderTest(const NetInfo& info, NetFunction apply, int64_t h, int64_t w, DeviceKind kind, DType t = DType::float32,
               const std::string& weights_salt = "")
      : net(info),
        function(std::move(apply)),
        height(h),
        width(w),
        type(t),
        memory(open_device({kind})),
        exec(memory->backend().make_exec(2)),
        params(build(function, {1, h, w, 3})) {
    params.allocate(memory, t);
    formula_weights(params, net.keras_name, weights_salt);
  }

  Tensor formula_images(int64_t n) const { return Tensor::from(formula_input(n, height, width), {n, height, width, 3}, type, memory); }
  Context context() { return {memory->backend(), *exec, memory, tape}; }

  const NetInfo& net;
  NetFunction function;
  int64_t height, width;
  DType type;
  std::shared_ptr<Memory> memory;
  std::unique_ptr<Exec> exec;
  Params params;
  Tape tape;
};

// The samples column of the golden tables: "index:value index:value …".
inline std::vector<std::pair<size_t, double>> parse_samples(const std::string& text) {
  std::vector<std::pair<size_t, double>> samples;
  std::istringstream in(text);
  for (std::string item; in >> item;) {
    const size_t colon = item.find(':');
    samples.emplace_back(std::stoull(item.substr(0, colon)), std::stod(item.substr(colon + 1)));
  }
  return samples;
}

}  // namespace ptrain::test
