// The gradient check itself: it must find faults, or the other tests here mean nothing.
#include "tests/support/grad.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// y = 2x with a backward that multiplies by `factor`.
Tensor twice(Context& c, const Tensor& x, double factor) {
  Tensor y = c.like(x);
  c.backend.fill(c.exec, 0, y.buffer());
  c.backend.add_scaled(c.exec, 2, x.buffer(), y.buffer());
  c.tape.record({x}, y, [x = Ref(x), factor](Context& b, const Tensor& dy) {
    Tensor dx = b.like(dy);
    b.backend.fill(b.exec, 0, dx.buffer());
    b.backend.add_scaled(b.exec, factor, dy.buffer(), dx.buffer());
    b.tape.pass(b, x, dx);
  });
  return y;
}

std::string fault_of(const std::vector<Tensor>& leaves, const Graph& f) { return grad_fault(leaves, f); }
bool tells(const std::string& fault, const char* what) { return fault.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("a right backward passes and a wrong one is caught") {
  const ReferencePass pass;
  const Tensor x = pass.random({3, 4});
  EXPECT_GRAD({x}, [](Context& c, const auto& in) { return twice(c, in[0], 2); });
  CHECK(tells(fault_of({x}, [](Context& c, const auto& in) { return twice(c, in[0], 2.00001); }), "by differences"));
  CHECK(tells(fault_of({x}, [](Context& c, const auto& in) { return twice(c, in[0], -2); }), "by differences"));
}

TEST_CASE("a gradient of zeros or NaN proves nothing and is refused") {
  const ReferencePass pass;
  const Tensor x = pass.random({3, 4});
  CHECK(tells(fault_of({x}, [](Context& c, const auto& in) { return twice(c, in[0], 0); }), "proves nothing"));
  CHECK(tells(fault_of({x}, [](Context& c, const auto& in) { return twice(c, in[0], std::nan("")); }), "proves nothing"));
  // every input lies on the flat part
  CHECK(tells(fault_of({pass.random({5}, 1, -3, -2)}, [](Context& c, const auto& in) { return activation(c, in[0], Act::relu); }),
              "proves nothing"));
}

TEST_CASE("a leaf without a gradient is told") {
  const ReferencePass pass;
  const Tensor x = pass.random({3}), unused = pass.random({3});
  CHECK(tells(fault_of({x, unused}, [](Context& c, const auto& in) { return twice(c, in[0], 2); }), "leaf 1: no gradient"));
  CHECK(tells(fault_of({x}, [&](Context& c, const auto&) { return twice(c, unused, 2); }), "does not depend"));
  CHECK(tells(fault_of({x.cast(DType::float32)}, [](Context& c, const auto& in) { return twice(c, in[0], 2); }), "float64"));
}

TEST_CASE("NaN is close to nothing and infinity to itself alone") {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  CHECK(close(1, 1 + 1e-9, 1e-8, 0));
  CHECK(!close(1, 1.1, 1e-8, 1e-8));
  for (const double other : {nan, 0., 1., inf}) {
    CHECK(!close(nan, other, 1e30, 1e30));
    CHECK(!close(other, nan, 1e30, 1e30));
  }
  CHECK(close(inf, inf, 0, 0));
  CHECK(!close(1, inf, 1, 1));
  CHECK(!close(-inf, inf, 1, 1));
  CHECK(difference(std::vector<double>{1, nan, 3}, std::vector<double>{1, 2, 4}, 0.5, 0) ==
        "2 of 3 values differ, worst at [1]: got nan, want 2");
  CHECK(difference(std::vector<double>{1}, std::vector<double>{1, 2}, 1, 1) == "1 values, 2 wanted");
}
