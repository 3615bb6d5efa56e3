// Repeated: when work is recorded, when the recording is thrown away, what happens to work that cannot be recorded.
#include "train/repeated.hpp"

#include "kernels/plugin.hpp"
#include "tensor/tensor.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Rig {
  std::shared_ptr<Memory> memory = open_device({DeviceKind::cuda_sim});
  Backend& backend = memory->backend();
  std::unique_ptr<Exec> exec = backend.make_exec(1);
  Tensor x = Tensor::from(std::vector<float>{1, 2, 3}, {3}, DType::float32, memory),
         y = Tensor::from(std::vector<float>{0, 0, 0}, {3}, DType::float32, memory);
  int calls = 0;  // of the work, on the host
  const void* place = nullptr;

  void add() {
    ++calls;
    backend.add_scaled(*exec, 1, x.buffer(), y.buffer());
  }
  void run(Repeated& r, const std::function<void()>& work) {
    r.run(
        backend, *exec, [&] { return std::vector<const void*>{place}; }, work);
  }
};

}  // namespace

TEST_CASE("work is recorded the second time and given again from then on") {
  Rig g;
  Repeated r;
  for (int i = 0; i < 5; ++i) {
    g.run(r, [&] { g.add(); });
    CHECK(r.recorded() == (i >= 1));
    CHECK(g.y.to_floats() == std::vector<float>{float(i + 1), float(2 * i + 2), float(3 * i + 3)});
  }
  CHECK(g.calls == 2);
  g.x.upload(std::vector<float>{10, 10, 10});  // read anew each time
  g.run(r, [&] { g.add(); });
  CHECK(g.y.to_floats() == std::vector<float>{15, 20, 25});
}

TEST_CASE("a recording whose memory lies elsewhere now is thrown away") {
  Rig g;
  Repeated r;
  const auto times = [&](int n) {
    for (int i = 0; i < n; ++i) g.run(r, [&] { g.add(); });
  };
  times(3);
  CHECK(g.calls == 2);
  g.place = &g;
  times(1);
  CHECK_FALSE(r.recorded());
  times(2);
  CHECK(r.recorded());
  CHECK(g.calls == 4);
  g.exec->scratch(1 << 20);
  times(1);
  CHECK_FALSE(r.recorded());
  times(2);
  CHECK(g.calls == 6);
  CHECK(g.y.to_floats() == std::vector<float>{9, 18, 27});
}

TEST_CASE("work that cannot be recorded runs as it is") {
  for (const int what : {0, 1, 2, 3}) {
    Rig g;
    Repeated r;
    const std::vector<float> fives{5, 5, 5};
    const auto work = [&] {
      if (what == 0) g.backend.upload(*g.exec, fives.data(), g.x.buffer());
      if (what == 1) g.exec->synchronize();
      if (what == 2) g.backend.release(g.backend.allocate(64), 64);
      if (what == 3) g.exec->scratch(g.calls == 1 ? 1 << 20 : 1);  // more than the first time
      g.add();
    };
    for (int i = 0; i < 3; ++i) {
      g.run(r, work);
      CHECK_FALSE(r.recorded());
    }
    CHECK(g.y.to_floats() == (what == 0 ? std::vector<float>{15, 15, 15} : std::vector<float>{3, 6, 9}));
  }
}

TEST_CASE("an error of the work itself is not swallowed, and the device goes on") {
  Rig g;
  Repeated r;
  g.run(r, [&] { g.add(); });
  CHECK_THROWS_WITH_AS(g.run(r, [] { fail(ErrorKind::data, "a bad image"); }), "a bad image", Error);
  g.run(r, [&] { g.add(); });
  CHECK(g.y.to_floats() == std::vector<float>{2, 4, 6});
}
