// Names, order, shapes and counts of layers and tensors against Keras.
#include "tests/nets/net_under_test.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("layers are those of Keras in Keras' order") {
  NEEDS_GOLDENS("forward");
  for (const NetInfo& net : net_table()) {
    CAPTURE(net.name);
    const std::vector<Layer> layers = list_layers(features_of(net), {2, net.input_size, net.input_size, 3});
    std::vector<Row> rows = read_tsv(shared() / "keras" / "forward" / concat("forward_", net.keras_name, ".tsv"));
    REQUIRE(layers.size() == rows.size());
    for (size_t i = 0; i < layers.size(); ++i) {
      std::string shape;
      for (int64_t d : layers[i].output) shape += (shape.empty() ? "" : "x") + std::to_string(d);
      CHECK(layers[i].spec.name == rows[i]["name"]);
      CHECK(layers[i].spec.type == rows[i]["class"]);
      CHECK(shape == rows[i]["shape"]);
    }
  }
}

TEST_CASE("tensors are those of Keras in the order of its layers") {
  NEEDS_GOLDENS("tensors.tsv");
  std::vector<Row> rows = read_tsv(shared() / "keras" / "tensors.tsv");
  for (const NetInfo& net : net_table())
    for (const char* variant : {"notop", "top"}) {
      CAPTURE(net.name);
      CAPTURE(variant);
      const NetFunction f = variant == std::string("top") ? with_top(net) : features_of(net);
      const Shape input{1, net.input_size, net.input_size, 3};
      const Params params = build(f, input);
      std::vector<std::string> got, want;
      for (const Layer& layer : list_layers(f, input))
        for (const Param& p : params.list())
          if (p.layer == layer.spec.name) got.push_back(p.key() + " " + str(p.shape));
      for (Row& row : rows) {
        if (row["net"] != net.keras_name || row["variant"] != variant) continue;
        std::string shape = "[";
        for (char ch : row["shape_keras"]) shape += ch == 'x' ? std::string(", ") : std::string(1, ch);
        want.push_back(row["keras3_layer_name"] + "/" + row["var"] + " " + shape + "]");
      }
      CHECK(got == want);
    }
}

TEST_CASE("top 30 percent begins where it begins in Keras") {
  const std::map<std::string, std::string> first = {{"vgg16", "block4_conv3"},
                                                    {"mobilenet_v2", "block_12_expand"},
                                                    {"densenet121", "conv4_block23_1_bn"},
                                                    {"inception_v3", "conv2d_63"},
                                                    {"resnet50", "conv4_block4_out"}};
  for (const NetInfo& net : net_table()) {
    const std::vector<Layer> layers = list_layers(features_of(net), {1, net.input_size, net.input_size, 3});
    CHECK(layers.at(size_t(0.7 * double(layers.size()))).spec.name == first.at(net.name));
  }
}
