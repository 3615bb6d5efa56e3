// Grad-CAM against central differences, in float64 on the reference backend.
#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/explain/grad_cam.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// Adds `h` to one channel of a layer's output as it passes, and keeps what was there.
class Nudge : public LayerObserver {
 public:
  Nudge(std::string name, int64_t channel, double h) : name_(std::move(name)), channel_(channel), h_(h) {}
  void layer(const LayerSpec& spec, const std::vector<Tensor>&, const Tensor& y) override {
    if (spec.name != name_) return;
    values = y.to_doubles();
    shape = y.shape();
    std::vector<double> moved = values;
    for (size_t i = size_t(channel_); i < moved.size(); i += size_t(shape[3])) moved[i] += h_;
    Tensor same = y;  // shares the data
    same.upload(moved);
  }
  std::vector<double> values;
  Shape shape;

 private:
  std::string name_;
  int64_t channel_;
  double h_;
};

struct Net {
  explicit Net(const std::string& name, int64_t side)
      : memory(open_device({DeviceKind::reference})),
        model({.net = name,
               .height = side,
               .width = side,
               .head = {.dense = {16}, .dropout = {0.5f}, .l2 = 0, .classes = 3},
               .classes = {"a", "b", "c"}},
              memory, DType::float64),
        exec(memory->backend().make_exec(1)) {
    formula_weights(model.params, model.net().keras_name);
    freeze(model, {.name = "", .cut = model.base_layers().size()}, BnMode::inference);
    const std::vector<float> image = formula_input(1, side, side);
    x = Tensor::from(std::vector<double>(image.begin(), image.end()), model.input(1), DType::float64, memory);
  }
  std::vector<double> logits(LayerObserver& observer) {
    Tape tape;
    Context c{memory->backend(), *exec, memory, tape};
    Scope scope(c, model.params, {.observer = &observer});
    return model.head(scope, model.body(scope, x)).to_doubles();
  }

  std::shared_ptr<Memory> memory;
  Model model;
  std::unique_ptr<Exec> exec;
  Tensor x;
};

// α by the tape equals the slope of the score along "one channel grows everywhere"; the map follows from α by its definition.
void grad_cam_is_right(const std::string& name, int64_t side, const std::string& layer, std::vector<int64_t> channels) {
  Net net(name, side);
  const GradCam cam(net.model, layer);
  const int of_class = 1;
  const GradCam::Result got = cam(*net.exec, net.x, [&](std::span<const double>) { return of_class; });
  CHECK(got.of_class == of_class);
  REQUIRE(got.map.h * got.map.w > 1);
  const double h = 1e-5;
  Nudge still(cam.layer(), 0, 0);
  const std::vector<double> as_it_is = net.logits(still);
  CHECK(difference(std::span<const double>(got.logits), std::span<const double>(as_it_is), 1e-12, 1e-9) == "");
  double largest = 0;
  for (const double w : got.weights) largest = std::max(largest, std::fabs(w));
  REQUIRE_MESSAGE(largest > 0, name, ": the whole gradient is zero, so this test proves nothing");
  for (const int64_t k : channels) {
    Nudge up(cam.layer(), k, h), down(cam.layer(), k, -h);
    const double slope = (net.logits(up)[of_class] - net.logits(down)[of_class]) / (2 * h), want = slope / double(got.map.h * got.map.w);
    INFO(name, " ", cam.layer(), " channel ", k, ": ", got.weights[size_t(k)], ", finite differences give ", want);
    CHECK(close(got.weights[size_t(k)], want, 1e-7 * largest, 1e-5));
  }
  std::vector<double> map(got.map.values.size());
  const size_t c = got.weights.size();
  for (size_t i = 0; i < map.size(); ++i) {
    for (size_t k = 0; k < c; ++k) map[i] += got.weights[k] * still.values[i * c + k];
    map[i] = std::max(0.0, map[i]);
  }
  CHECK(difference(std::span<const double>(got.map.values), std::span<const double>(map), 1e-12, 1e-9) == "");
}

}  // namespace

TEST_CASE("grad-cam of the last layer of mobilenet_v2") { grad_cam_is_right("mobilenet_v2", 64, "", {0, 7, 1279}); }
TEST_CASE("grad-cam of the last layer of resnet50") { grad_cam_is_right("resnet50", 64, "", {0, 2047}); }
TEST_CASE("grad-cam of the last layer of densenet121") { grad_cam_is_right("densenet121", 64, "", {0, 1023}); }
TEST_CASE("grad-cam of the last layer of vgg16") { grad_cam_is_right("vgg16", 64, "block5_pool", {3}); }
TEST_CASE("grad-cam of a layer before the branches of inception_v3") { grad_cam_is_right("inception_v3", 75, "mixed7", {0, 767}); }
TEST_CASE("grad-cam of an inner layer") { grad_cam_is_right("mobilenet_v2", 32, "block_3_depthwise_relu", {0, 20, 143}); }

TEST_CASE("grad-cam refuses layers without a height and a width") {
  Net net("mobilenet_v2", 32);
  CHECK_THROWS_WITH_AS(GradCam(net.model, "nothing"), doctest::Contains("no such layer"), Error);
  CHECK_THROWS_AS(GradCam(net.model, "input_layer"), Error);
}
