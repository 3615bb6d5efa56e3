#include "tests/tools/support/export_case.hpp"

#include <algorithm>
#include <cmath>

#include "layers/formula.hpp"
#include "train/model.hpp"

namespace ptrain::test {
namespace {

std::vector<float> softmax(const std::vector<float>& logits, int64_t classes, double temperature) {
  std::vector<float> p(logits.size());
  for (size_t row = 0; row < logits.size(); row += size_t(classes)) {
    const double top = *std::max_element(logits.begin() + int64_t(row), logits.begin() + int64_t(row) + classes);
    double sum = 0;
    for (size_t i = row; i < row + size_t(classes); ++i) sum += std::exp((logits[i] - top) / temperature);
    for (size_t i = row; i < row + size_t(classes); ++i) p[i] = float(std::exp((logits[i] - top) / temperature) / sum);
  }
  return p;
}

}  // namespace

ExportCase make_export_case(const NetInfo& net, ExportKind kind, const std::filesystem::path& file, double temperature) {
  const int64_t h = kind == ExportKind::top ? std::max<int64_t>(64, net.min_size) : 96, w = kind == ExportKind::top ? h : 97, n = 2;
  const HeadOptions head{.dense = {16, 8}, .dropout = {0.3f, 0.25f}, .l2 = 1e-3, .classes = 3};
  ExportCase c{.model = file, .pixels_shape = {n, h, w, 3}};
  for (int64_t i = 0; i < n; ++i)
    for (const uint8_t v : formula_picture(h, w, std::to_string(i))) c.pixels.push_back(v);

  const auto memory = open_device({DeviceKind::cpu});
  const NetFunction function = [&](Scope& s, Tensor x) {
    x = net.features(s, x);
    if (kind == ExportKind::top) return net.top(s, x);
    return kind == ExportKind::base ? x : ptrain::head(s, s.global_avg_pool(x, "gap"), head);
  };
  Params params = build(function, {n, h, w, 3});
  params.allocate(memory, DType::float32);
  formula_weights(params, net.keras_name, "export/");

  WeightFileWriter out(file);
  out.attribute("net", net.name);
  out.attribute("input_size", std::vector<int64_t>{h, w});
  out.attribute("preprocessing", net.preprocess);
  if (kind == ExportKind::classifier) {
    c.classes = {"NORMAL", "PNEUMONIA", "läsion \"3\""};
    out.attribute("classes", c.classes);
    out.attribute("positive_class", c.classes[1]);
    out.attribute("head_dense", head.dense);
    out.attribute("head_dropout", std::vector<double>{0.3, 0.25});
    out.attribute("head_l2", head.l2);
    out.attribute("threshold", 0.375);
    out.attribute("temperature", temperature);
  }
  save_weights(params, out);
  out.commit();

  const Preprocess p = preprocess_of(net.preprocess);
  std::vector<float> x(c.pixels.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t channel = i % 3, from = p.bgr ? i - channel + (2 - channel) : i;
    x[i] = c.pixels[from] * p.scale[channel] + p.shift[channel];
  }
  const auto exec = memory->backend().make_exec(2);
  Tape tape;
  Context context{memory->backend(), *exec, memory, tape};
  Scope scope(context, params);
  const Tensor y = function(scope, Tensor::from(x, {n, h, w, 3}, DType::float32, memory));
  c.shape.assign(y.shape().begin(), y.shape().end());
  c.want =
      kind == ExportKind::base ? y.to_floats() : softmax(y.to_floats(), y.shape()[1], kind == ExportKind::classifier ? temperature : 1);
  return c;
}

}  // namespace ptrain::test
