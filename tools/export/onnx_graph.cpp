#include "tools/export/onnx_graph.hpp"

#include "kernels/error.hpp"

namespace ptrain::exports {
namespace {

constexpr int64_t kIrVersion = 8, kOpset = 17, kFloat = 1, kInt64 = 7;  // ONNX 1.12

Message attribute(const std::string& name, const OnnxAttribute& value) {
  enum Type { as_float = 1, as_int = 2, as_string = 3, as_ints = 7 };
  Message m;
  m.text(1, name);
  if (const auto* f = std::get_if<float>(&value)) m.number(2, *f).integer(20, as_float);
  else if (const auto* i = std::get_if<int64_t>(&value)) m.integer(3, *i).integer(20, as_int);
  else if (const auto* s = std::get_if<std::string>(&value)) m.text(4, *s).integer(20, as_string);
  else {
    for (const int64_t v : std::get<std::vector<int64_t>>(value)) m.integer(8, v);
    m.integer(20, as_ints);
  }
  return m;
}

template <class Dims>
Message tensor(const std::string& name, const Dims& dims, int64_t type, uint64_t bytes) {
  Message m;
  for (const int64_t d : dims) m.integer(1, d);
  m.integer(2, type).text(8, name).length(9, bytes);
  return m;
}

template <class T>
std::string_view raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};  // little-endian, as this machine is
}

}  // namespace

static_assert(std::endian::native == std::endian::little);

Message OnnxGraph::value(const std::string& name, const Shape& shape) {
  Message dims;
  for (const int64_t d : shape) dims.message(1, d == 0 ? Message().text(2, "n") : Message().integer(1, d));
  const Message type = Message().integer(1, kFloat).message(2, dims);
  return Message().text(1, name).message(2, Message().message(1, type));
}

std::string OnnxGraph::node(const std::string& op, const std::string& name, const Names& inputs,
                            const std::map<std::string, OnnxAttribute>& attributes) {
  Message m;
  for (const std::string& i : inputs) m.text(1, i);
  m.text(2, name).text(3, name).text(4, op);
  for (const auto& [key, v] : attributes) m.message(5, attribute(key, v));
  body_.message(1, m);
  return name;
}

std::string OnnxGraph::weight(const std::string& name, const Shape& shape, std::function<std::vector<float>()> values) {
  const uint64_t bytes = uint64_t(shape.size()) * sizeof(float);
  weights_.push_back({tensor(name, shape, kFloat, bytes).bytes(), bytes, std::move(values)});
  return name;
}

std::string OnnxGraph::constant(const std::string& name, const Shape& shape, const std::vector<float>& values) {
  return weight(name, shape, [values] { return values; });
}

std::string OnnxGraph::constant(const std::string& name, const std::vector<int64_t>& values) {
  const std::string_view bytes = raw(values);
  const Message head = tensor(name, std::vector<int64_t>{int64_t(values.size())}, kInt64, bytes.size());
  body_.text(5, head.bytes() + std::string(bytes));
  return name;
}

void OnnxGraph::write(const std::string& name, const std::map<std::string, std::string>& metadata,
                      const std::function<void(std::string_view)>& out) const {
  Message graph = body_;
  graph.text(2, name);
  uint64_t graph_bytes = graph.bytes().size();
  const auto begin = [](const Weight& w) { return Message().length(5, w.head.size() + w.bytes).bytes() + w.head; };
  for (const Weight& w : weights_) graph_bytes += begin(w).size() + w.bytes;

  Message model;
  model.integer(1, kIrVersion).text(2, "ptrain");
  model.message(8, Message().text(1, "").integer(2, kOpset));
  for (const auto& [key, text] : metadata) model.message(14, Message().text(1, key).text(2, text));
  model.length(7, graph_bytes);
  out(model.bytes());
  out(graph.bytes());
  for (const Weight& w : weights_) {
    const std::vector<float> values = w.values();
    REQUIRE_THAT(raw(values).size() == w.bytes, "an ONNX weight has ", values.size(), " values, ", w.bytes / 4, " are needed");
    out(begin(w));
    out(raw(values));
  }
}

}  // namespace ptrain::exports
