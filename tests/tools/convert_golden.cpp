#include <sys/resource.h>

#include "tests/tools/support/convert_support.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

void convert_dialects_of(const std::string& net) {
  size_t rows = 0;
  for (const Row& r : read_tsv(shared() / "keras" / "dialects" / "dialects.tsv")) {
    if (r.at("net") != net) continue;
    const std::string file = r.at("file");
    CAPTURE(file);
    const TempDir dir;
    const fs::path path = unpack("dialects", file, dir), out = dir / "converted.model";
    const bool top = r.at("variant") == "top";
    convert::ConvertReport report;
    REQUIRE(refusal_of({.file = path, .out = out, .net = "auto", .allow_unused = false, .classes = {}}, &report) == "");
    const size_t heads = std::stoul(r.at("head_tensors"));
    CHECK(check_constants(out, net, top, heads) == "");
    CHECK(report.keras_net == net);
    CHECK(report.plan.top == top);
    CHECK(report.base_tensors == std::stoul(r.at("base_tensors")));
    CHECK(report.plan.unused.empty());
    CHECK(report.input_sha256 == r.at("raw_sha256"));
    CHECK(report.input_bytes == std::stoll(r.at("raw_bytes")));
    const bool named = r.at("dialect").starts_with("official");
    const bool v02 = r.at("dialect").find("v0.2") != std::string::npos;
    const std::string& dialect = report.plan.dialect;
    if (v02) CHECK(dialect.find("of 2016, v0.2") != std::string::npos);
    else if (named && net != "ResNet50" && net != "InceptionV3") CHECK(dialect.find("names of the official " + net) != std::string::npos);
    CHECK((file.find(".keras") != std::string::npos) == dialect.starts_with(".keras"));
    CHECK((file.find("_nested_") != std::string::npos) == dialect.starts_with("full model .h5"));
    if (heads > 0) {
      REQUIRE(report.plan.head);
      CHECK(report.plan.head->units == std::vector<int64_t>{256, 128});
      CHECK(report.plan.head->classes == 2);
      const WeightFileReader model(out);
      CHECK(model.texts("classes") == std::vector<std::string>{"class_0", "class_1"});
      CHECK(model.text("net") == report.plan.net);
    }
    ++rows;
  }
  CHECK(rows >= 12);
}

}  // namespace

TEST_CASE("dialects of VGG16") {
  NEEDS_GOLDENS("dialects");
  convert_dialects_of("VGG16");
}
TEST_CASE("dialects of MobileNetV2") {
  NEEDS_GOLDENS("dialects");
  convert_dialects_of("MobileNetV2");
}
TEST_CASE("dialects of DenseNet121") {
  NEEDS_GOLDENS("dialects");
  convert_dialects_of("DenseNet121");
}
TEST_CASE("dialects of InceptionV3") {
  NEEDS_GOLDENS("dialects");
  convert_dialects_of("InceptionV3");
}
TEST_CASE("dialects of ResNet50") {
  NEEDS_GOLDENS("dialects");
  convert_dialects_of("ResNet50");
}

TEST_CASE("the layouts are Keras' table of tensors") {
  NEEDS_GOLDENS("tensors.tsv");
  const std::vector<Row> table = read_tsv(shared() / "keras" / "tensors.tsv");
  CHECK(layouts().size() == 10);
  for (const convert::NetLayout& net : layouts()) {
    CAPTURE(net.keras_net);
    size_t k = 0;
    for (const Row& r : table) {
      if (r.at("net") != net.keras_net || r.at("variant") != (net.top ? "top" : "notop")) continue;
      REQUIRE(k < net.tensors.size());
      const convert::LayoutTensor& t = net.tensors[k++];
      CHECK(t.layer == r.at("keras3_layer_name"));
      CHECK(t.var == r.at("var"));
      CHECK(convert::shape_text(t.shape) == r.at("shape_keras"));
    }
    CHECK(k == net.tensors.size());
    const int64_t features = net.keras_net == "VGG16"         ? 512
                             : net.keras_net == "MobileNetV2" ? 1280
                             : net.keras_net == "DenseNet121" ? 1024
                                                              : 2048;
    CHECK(net.features == features);
  }
}

TEST_CASE("bad files get the stated outcome") {
  NEEDS_GOLDENS("bad");
  const std::map<std::string, std::string> reasons = {
      {"truncated.h5", "truncated file"},
      {"keras1_nb_layers.h5", "Keras 1 file (nb_layers"},
      {"wrong_net.h5", "holds DenseNet121 (densenet121), not MobileNetV2 (mobilenet_v2)"},
      {"missing_dataset.h5", "lists the weight 'block_5_project_BN/moving_variance': there is no 'moving_variance'"},
      {"missing_tensor.h5", "block_5_project_BN has 3 of 4 tensors"},
      {"missing_layer.h5", "103 of 104 layers"},
      {"no_layer_names.h5", "no layer_names attribute"},
      {"wrong_shape.h5", "Conv1/kernel is [3, 3, 32, 3] in the file, [3, 3, 3, 32] is wanted"},
      {"integer.h5", "Conv1/kernel holds integers"},
      {"external_link.h5", "'kernel' is an external link"},
      {"soft_link.h5", "'kernel' is a soft link"},
      {"virtual_dataset.h5", "is virtual"},
      {"external_storage.h5", "has external storage"},
      {"shape_bomb.h5", "declares more than 16 GiB"},
      {"object_dtype.h5", "Conv1/kernel holds text"},
      {"compound_dtype.h5", "Conv1/kernel holds text, records"},
      {"group_for_dataset.h5", "is a group where a dataset is expected"},
      {"traversal.keras", "'../../evil.txt' points outside"},
      {"no_weights.keras", "without model.weights.h5"},
      {"truncated.keras", "truncated zip"},
      {"not_a_zip.keras", "named .keras, but it is an HDF5 file"},
      {"sharded_00000.weights.h5", "one part of sharded weights"},
      {"sharded_00001.weights.h5", "one part of sharded weights"},
      {"sharded_00002.weights.h5", "one part of sharded weights"},
      {"sharded.weights.json", "the index of sharded weights"},
  };
  for (const Row& r : read_tsv(shared() / "keras" / "bad" / "bad.tsv")) {
    const TempDir dir;
    const fs::path path = unpack("bad", r.at("file"), dir), out = dir / "converted.model";
    const std::string name = path.filename().string();
    CAPTURE(name);
    const std::string refusal = refusal_of(path, out, r.at("asked_net"));
    if (r.at("expected") == "accept" || (r.at("expected") == "either" && !reasons.contains(name))) {
      REQUIRE(refusal == "");
      CHECK(check_constants(out, r.at("asked_net"), r.at("asked_variant") == "top", 0) == "");
      continue;
    }
    CAPTURE(refusal);
    REQUIRE(reasons.contains(name));
    CHECK(refusal.find(reasons.at(name)) != std::string::npos);
    CHECK(refusal.find(path.string()) != std::string::npos);
    CHECK(!fs::exists(out));
    CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 1);  // nothing else was written
    CHECK(!fs::exists(dir.path().parent_path() / "evil.txt"));
  }
}

TEST_CASE("real files convert") {
  if (!present("goldens", shared() / "weights")) return;
  const TempDir dir;
  convert::ConvertReport r;
  CHECK(refusal_of({.file = shared() / "weights" / "mobilenet_v2_imagenet_dequantized.h5",
                    .out = dir / "m.h5",
                    .net = "mobilenet_v2",
                    .classes = {}},
                   &r) == "");
  CHECK(r.plan.top);
  CHECK(r.base_tensors == 262);
  CHECK(r.parameters == 3538984);
  const WeightFileReader m(dir / "m.h5");
  std::vector<float> gamma(32);
  CHECK(m.tensors().at(1).key() == "bn_Conv1/gamma");
  m.read(m.tensors()[1], gamma);
  CHECK(gamma == std::vector<float>(32, 1.f));  // its batch norms are folded

  const fs::path hed = shared() / "weights" / "vgg16_hed.weights.h5";
  const std::string refusal = refusal_of(hed, dir / "v.h5");
  CHECK(refusal.find("holds VGG16 (vgg16) complete, but 12 tensors of the file are not used") != std::string::npos);
  CHECK(refusal.find("dsn1/vars/0 [1, 1, 64, 1]") != std::string::npos);
  CHECK(refusal_of({.file = hed, .out = dir / "v.h5", .net = "VGG16", .allow_unused = true, .classes = {}}, &r) == "");
  CHECK(r.plan.unused.size() == 12);
  CHECK(r.base_tensors == 26);
  CHECK(!r.plan.head);
  const WeightFileReader v(dir / "v.h5");
  std::vector<float> kernel(3 * 3 * 3 * 64);
  v.read(v.tensors().at(0), kernel);
  CHECK(std::fabs(kernel[0]) > 0);
}
