#include "tools/export/export_model.hpp"

#include <algorithm>
#include <cmath>

#include "nets/head.hpp"
#include "train/class_priors.hpp"
#include "train/model.hpp"

namespace ptrain::exports {

ExportModel load_for_export(const std::filesystem::path& path) {
  const WeightFileReader file(path);
  ExportModel m;
  m.file = path;
  m.net = &find_net(file.text("net"));
  m.name = m.net->name;
  m.preprocessing = file.has_attribute("preprocessing") ? file.text("preprocessing") : m.net->preprocess;
  const auto size = file.attributes().find("input_size");
  const auto* sides = size == file.attributes().end() ? nullptr : std::get_if<std::vector<int64_t>>(&size->second);
  if (!sides || sides->size() != 2)
    fail(ErrorKind::weights, "exporting ", path.string(), ": it has no attribute 'input_size' of two numbers");
  m.height = (*sides)[0], m.width = (*sides)[1];
  if (std::min(m.height, m.width) < m.net->min_size)
    fail(ErrorKind::weights, "exporting ", path.string(), ": its images are ", m.height, "x", m.width, ", ", m.net->name,
         " takes at least ", m.net->min_size, "x", m.net->min_size);

  NetFunction function = features_of(*m.net);
  const bool top = std::any_of(file.tensors().begin(), file.tensors().end(), [](const StoredTensor& t) { return is_top_layer(t.layer); });
  if (file.has_attribute("head_dense")) {
    const ModelSpec spec = read_spec(file);
    m.name += "_classifier", m.scores = true, m.classes = spec.classes, m.l2 = spec.head.l2, m.temperature = spec.temperature;
    m.threshold = spec.threshold, m.positive_class = spec.classes.at(size_t(spec.positive));
    const std::vector<double> seen = training_priors(spec);
    for (size_t c = 0; c < spec.priors.size(); ++c) m.prior_ratios.push_back(spec.priors[c] / seen[c]);
    const HeadOptions head = spec.head;
    function = [net = m.net, head](Scope& s, Tensor x) { return ptrain::head(s, s.global_avg_pool(net->features(s, x), "gap"), head); };
  } else if (top) {
    function = with_top(*m.net), m.scores = true;
  }
  const Shape image{1, m.height, m.width, 3};
  m.layers = list_layers(function, image);
  m.params = build(function, image);
  m.params.allocate(open_device({DeviceKind::cpu}), DType::float32);
  load_weights(m.params, file, {.into = m.name});
  return m;
}

std::vector<ExportWeight> ExportModel::weights(const Layer& layer) const {
  std::vector<ExportWeight> list;
  for (const Param& p : params.list()) {
    if (p.layer != layer.spec.name) continue;
    ExportWeight w{p.weight, p.shape, p.value.to_floats()};
    if (layer.spec.softmax && temperature != 1)
      for (float& v : w.values) v = float(double(v) / temperature);
    if (layer.spec.softmax && p.weight == "bias")
      for (size_t c = 0; c < prior_ratios.size(); ++c) w.values.at(c) = float(double(w.values[c]) + std::log(prior_ratios[c]));
    list.push_back(std::move(w));
  }
  return list;
}

}  // namespace ptrain::exports
