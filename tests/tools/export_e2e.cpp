// ptrain export without Python: what is written converts back to the same bytes, and an ONNX file says what it should.
#include <cstring>

#include "tests/tools/program.hpp"
#include "tests/tools/support/convert_support.hpp"
#include "tests/tools/support/export_case.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// A net creates its layers in another order than Keras lists them in.
std::map<std::string, std::vector<float>> by_name(const std::filesystem::path& path) {
  const WeightFileReader file(path);
  std::map<std::string, std::vector<float>> weights;
  for (const StoredTensor& t : file.tensors()) {
    std::vector<float>& values = weights[t.key()];
    values.resize(size_t(t.shape.size()));
    file.read(t, values);
  }
  return weights;
}

// One field after the other of a protobuf message, read from the specification.
struct Field {
  int number;
  uint64_t integer;       // of kind 0
  std::string_view text;  // of kind 2
};
std::vector<Field> fields(std::string_view m) {
  std::vector<Field> list;
  const auto varint = [&] {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = uint8_t(m.at(0));
      m.remove_prefix(1);
      v |= uint64_t(byte & 127) << shift;
      if (byte < 128) return v;
    }
  };
  while (!m.empty()) {
    const uint64_t tag = varint();
    Field f{int(tag >> 3), 0, {}};
    if ((tag & 7) == 0) f.integer = varint();
    else {
      const uint64_t size = (tag & 7) == 2 ? varint() : 4;
      REQUIRE(size <= m.size());
      f.text = m.substr(0, size);
      m.remove_prefix(size);
    }
    list.push_back(f);
  }
  return list;
}
std::vector<std::string_view> all(std::string_view message, int number) {
  std::vector<std::string_view> list;
  for (const Field& f : fields(message))
    if (f.number == number) list.push_back(f.text);
  return list;
}

}  // namespace

TEST_CASE("what is exported for Keras converts back to the same weights") {
  for (const NetInfo& net : net_table())
    for (const ExportKind kind : {ExportKind::base, ExportKind::classifier}) {
      const TempDir dir;
      const ExportCase c = make_export_case(net, kind, dir / "m.h5");
      for (const std::pair<std::string, std::string>& format :
           {std::pair<std::string, std::string>{"keras", "e.keras"}, {"keras-weights", "e.weights.h5"}, {"keras-h5", "e.h5"}}) {
        CAPTURE(net.name);
        CAPTURE(format.first);
        const std::string file = (dir / format.second).string(), back = (dir / "back.h5").string();
        const Finished f = run_ptrain({"export", c.model.string(), "--format", format.first, "--out", file});
        CAPTURE(f.err);
        REQUIRE(f.code == 0);
        const Finished g = run({bin("ptrain-convert").string(), file, "--out", back, "--classes", "a,b,c", "--json"});
        CAPTURE(g.err);
        REQUIRE(g.code == 0);
        CHECK(by_name(back) == by_name(c.model));
        const WeightFileReader model(back);
        CHECK(model.text("net") == net.name);
        if (kind == ExportKind::base) continue;
        CHECK(model.texts("classes") == std::vector<std::string>{"a", "b", "c"});
        if (format.first == "keras-weights") continue;  // holds no configuration
        CHECK(std::get<std::vector<int64_t>>(model.attributes().at("input_size")) == std::vector<int64_t>{96, 97});
        CHECK(std::get<std::vector<double>>(model.attributes().at("head_dropout")) == std::vector<double>{0.3, 0.25});
        CHECK(model.number("head_l2") == 1e-3);
      }
    }
}

TEST_CASE("an ONNX model has opset 17, the classes, and every weight") {
  const TempDir dir;
  const ExportCase c = make_export_case(find_net("mobilenet_v2"), ExportKind::classifier, dir / "m.h5");
  const Finished f = run_ptrain({"export", c.model.string(), "--format", "onnx", "--out", (dir / "m.onnx").string()});
  REQUIRE_MESSAGE(f.code == 0, f.err);
  const std::string bytes = read_file(dir / "m.onnx");
  const std::vector<std::string_view> opsets = all(bytes, 8), graphs = all(bytes, 7);
  REQUIRE(opsets.size() == 1);
  CHECK(fields(opsets[0]).back().integer == 17);
  std::map<std::string, std::string> metadata;
  for (const std::string_view entry : all(bytes, 14)) metadata[std::string(all(entry, 1).at(0))] = all(entry, 2).at(0);
  CHECK(nlohmann::json::parse(metadata["classes"]) == nlohmann::json(c.classes));
  CHECK(metadata["positive_class"] == "PNEUMONIA");
  CHECK(metadata["threshold"] == "0.375");
  REQUIRE(graphs.size() == 1);
  const WeightFileReader model(c.model);
  std::map<std::string, size_t> sizes;
  for (const std::string_view t : all(graphs[0], 5)) sizes[std::string(all(t, 8).at(0))] = all(t, 9).at(0).size();
  for (const StoredTensor& t : model.tensors()) CHECK(sizes[t.key()] == size_t(t.shape.size()) * 4);
}

TEST_CASE("ptrain export: wrong usage and wrong files") {
  const TempDir dir;
  const ExportCase c = make_export_case(find_net("mobilenet_v2"), ExportKind::base, dir / "m.h5");
  struct Case {
    int code;
    const char* part;
    std::vector<std::string> arguments;
  };
  write_file(dir / "text.h5", "no model");
  const std::string model = c.model.string();
  const Case cases[] = {
      {2, "--format", {model, "--out", (dir / "x.keras").string()}},
      {2, "known are keras, keras-weights, keras-h5, onnx", {model, "--format", "tflite", "--out", (dir / "x.tflite").string()}},
      {2, "known by the ending .keras", {model, "--format", "keras", "--out", (dir / "x.h5").string()}},
      {2, "known by the ending .h5", {model, "--format", "keras-h5", "--out", (dir / "x.weights.h5").string()}},
      {2, "over the model itself", {model, "--format", "keras-h5", "--out", model}},
      {4, "text.h5", {(dir / "text.h5").string(), "--format", "keras", "--out", (dir / "x.keras").string()}},
      {1, "No such file", {model, "--format", "onnx", "--out", (dir / "none" / "x.onnx").string()}},
      {1, "No such file", {model, "--format", "keras", "--out", (dir / "none" / "x.keras").string()}},
  };
  for (const Case& k : cases) {
    CAPTURE(k.part);
    std::vector<std::string> command{"export"};
    command.insert(command.end(), k.arguments.begin(), k.arguments.end());
    const Finished f = run_ptrain(command);
    CAPTURE(f.err);
    CHECK(f.code == k.code);
    CHECK(f.err.find(k.part) != std::string::npos);
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), std::filesystem::directory_iterator()) == 2);
  }
}
