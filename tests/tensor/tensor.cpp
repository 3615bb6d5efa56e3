#include "tensor/tensor.hpp"

#include "tensor/ops.hpp"
#include "tests/support/grad.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::shared_ptr<Memory> reference() { return open_device({DeviceKind::reference}); }

std::string message_of(const std::function<void()>& f) {
  try {
    f();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("shapes") {
  const Shape s{2, 3, 4};
  CHECK(s.rank() == 3);
  CHECK(s.size() == 24);
  CHECK(s[2] == 4);
  CHECK(str(s) == "[2, 3, 4]");
  CHECK(str(Shape{}) == "[]");
  CHECK(Shape{}.size() == 1);
  CHECK((Shape{0, 5}).size() == 0);
  CHECK(s == Shape{2, 3, 4});
  CHECK(!(s == Shape{2, 3}));
  CHECK(!(s == Shape{2, 3, 5}));
  CHECK_THROWS_AS(s[3], Error);
  CHECK_THROWS_AS(s[-1], Error);
  CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5}), Error);
  CHECK_THROWS_AS(Shape{-1}, Error);
}

TEST_CASE("values go into a tensor and come out in every type") {
  const auto memory = reference();
  const std::vector<float> v{0, 1, 2.5f, 100};
  for (const DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    const Tensor x = Tensor::from(v, {2, 2}, t, memory);
    CHECK(x.dtype() == t);
    CHECK(x.to_floats() == v);
    CHECK(x.cast(DType::float32).to_floats() == v);
    CHECK(x.cast(t).id() == x.id());
  }
  CHECK(Tensor::from(v, {4}, DType::int32, memory).to_doubles() == std::vector<double>{0, 1, 2, 100});
  CHECK(Tensor::from(v, {4}, DType::uint8, memory).to_doubles() == std::vector<double>{0, 1, 2, 100});
  CHECK(Tensor::from(std::span<const double>(std::vector<double>{1 / 3.}), {1}, DType::float64, memory).to_doubles()[0] == 1 / 3.);
  CHECK(Tensor::from(std::vector<float>{7}, {1}, DType::bfloat16, memory).item() == 7);
  CHECK_THROWS_AS(Tensor::from(v, {3}, DType::float32, memory), Error);
  CHECK_THROWS_AS(Tensor::from(v, {4}, DType::float32, memory).item(), Error);
}

TEST_CASE("copies share data and reshape is a view") {
  const auto memory = reference();
  Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}, DType::float32, memory);
  const Tensor same = x, flat = x.reshape({6});
  x.upload(std::vector<float>{6, 5, 4, 3, 2, 1});
  CHECK(same.to_floats()[0] == 6);
  CHECK(flat.to_floats()[5] == 1);
  CHECK(flat.shape() == Shape{6});
  CHECK(flat.id() == x.id());
  CHECK(x.dim(1) == 3);
  CHECK_THROWS_AS(x.dim(2), Error);
  CHECK_THROWS_AS(x.reshape({5}), Error);
  CHECK(Tensor(Shape{1}, DType::float32, memory).id() != Tensor(Shape{1}, DType::float32, memory).id());
}

TEST_CASE("a tensor moves between devices and meta has nothing to move") {
  const auto here = reference(), cpu = open_device({DeviceKind::cpu}), meta = open_device({DeviceKind::meta});
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3}, {3}, DType::float32, here);
  CHECK(x.to(here).id() == x.id());
  const Tensor y = x.to(cpu);
  CHECK(y.device() == Device{DeviceKind::cpu});
  CHECK(y.to_floats() == x.to_floats());
  CHECK(message_of([&] { x.to(meta); }).find("meta") != std::string::npos);
  CHECK_THROWS_AS(Tensor(Shape{3}, DType::float32, meta).to_floats(), Error);
}

TEST_CASE("an undefined tensor or one without data says so") {
  CHECK(!Tensor().defined());
  const Tensor shape = Tensor::shape_only({2, 3}, DType::float16);
  CHECK(shape.defined());
  CHECK(!shape.has_data());
  CHECK(shape.size() == 6);
  CHECK(message_of([&] { shape.buffer(); }).find("[2, 3]") != std::string::npos);
  CHECK_THROWS_AS(shape.id(), Error);
  CHECK_THROWS_AS(shape.device(), Error);
}

TEST_CASE("devices by name") {
  for (const char* name : {"cpu", "reference", "cuda-sim", "cuda:0", "cuda:3"}) CHECK(str(parse_device(name)) == name);
  CHECK(str(parse_device("cuda")) == "cuda:0");
  for (const char* name : {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "CPU", "meta "}) {
    CAPTURE(name);
    CHECK_THROWS_AS(parse_device(name), Error);
  }
}

TEST_CASE("row_shape takes all dimensions but the last as rows") {
  CHECK(row_shape(Tensor::shape_only({2, 3, 4, 5}, DType::float32)) == RowShape{24, 5});
  CHECK(row_shape(Tensor::shape_only({7}, DType::float32)) == RowShape{1, 7});
  CHECK(row_shape(Tensor::shape_only({7, 0}, DType::float32)) == RowShape{0, 0});
}
