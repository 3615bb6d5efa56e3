// A user's trained classifier converts with its head, and is evaluated with no further step.
#include "tests/tools/program.hpp"
#include "tests/tools/support/convert_support.hpp"
#include "tests/tools/support/export_case.hpp"
#include "tests/tools/support/write_keras.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

Finished convert_file(const fs::path& in, const fs::path& out, std::vector<std::string> more = {}) {
  std::vector<std::string> command{bin("ptrain-convert").string(), in.string(), "--out", out.string(), "--json"};
  command.insert(command.end(), more.begin(), more.end());
  return run(command);
}

// A classifier as .h5 in the old format, with another layer before its base.
fs::path classifier_with(const nlohmann::json& layer, const TempDir& dir) {
  const ExportCase c = make_export_case(find_net("mobilenet_v2"), ExportKind::classifier, dir / "m.h5");
  const fs::path file = dir / "user.h5";
  const Finished f = run_ptrain({"export", c.model.string(), "--format", "keras-h5", "--out", file.string()});
  REQUIRE_MESSAGE(f.code == 0, f.err);
  edit_h5(file, [&](hid_t h) {
    nlohmann::json config = nlohmann::json::parse(std::get<std::string>(*hdf5::attribute(h, "model_config")));
    nlohmann::json& layers = config["config"]["layers"];
    layers.insert(layers.begin() + 1, layer);
    REQUIRE(hdf5::write_attribute(h, "model_config", config.dump()));
  });
  return file;
}

}  // namespace

TEST_CASE("a classifier that Keras saved is evaluated with no further step") {
  NEEDS_GOLDENS("dialects");
  const TempDir dir;
  make_data(dir / "data", 4);
  for (const char* name : {"MobileNetV2_nested.keras.zst", "MobileNetV2_nested_top30.h5.zst"}) {
    CAPTURE(name);
    const fs::path out = dir / "model.h5";
    const Finished converted = convert_file(unpack("dialects", name, dir), out);
    REQUIRE_MESSAGE(converted.code == 0, converted.err);
    CHECK(nlohmann::json::parse(converted.out)["head"]["dense"] == std::vector<int>{256, 128});
    const Finished f = run_ptrain(
        {"evaluate", "--model", out.string(), "--data", (dir / "data").string(), "--json", "--predictions", (dir / "p.csv").string()});
    CAPTURE(f.err);
    REQUIRE(f.code == 0);
    CHECK(nlohmann::json::parse(f.out)["n"] == 8);
    CHECK(read_file(dir / "p.csv").find("p_NORMAL,p_PNEUMONIA") != std::string::npos);
  }
}

TEST_CASE("a Rescaling layer becomes the model's preprocessing, and the predictions follow it") {
  const TempDir dir;
  const auto rescaling = [](double scale, double offset) {
    return nlohmann::json{{"class_name", "Rescaling"}, {"config", {{"name", "rescaling"}, {"scale", scale}, {"offset", offset}}}};
  };
  const auto preprocessing = [&](const nlohmann::json& layer, std::vector<std::string> more = {}) {
    const fs::path file = classifier_with(layer, dir), out = dir / "out.h5";
    const Finished f = convert_file(file, out, std::move(more));
    REQUIRE_MESSAGE(f.code == 0, f.err);
    return WeightFileReader(out).text("preprocessing");
  };
  CHECK(preprocessing(rescaling(1 / 127.5, -1)) == "tf");  // what MobileNetV2 wants anyway
  CHECK(preprocessing({{"class_name", "RandomFlip"}, {"config", {{"name", "flip"}}}}) == "tf");
  CHECK(preprocessing({{"class_name", "Lambda"}, {"config", {{"name", "secret"}}}}) == "tf");
  CHECK(preprocessing(rescaling(1 / 255.0, 0), {"--preprocessing", "torch"}) == "torch");
  make_data(dir / "data", 1);
  const std::string film = fs::directory_iterator(dir / "data" / "NORMAL")->path().string();
  const auto predict = [&] {
    const Finished f = run_ptrain({"predict", "--model", (dir / "out.h5").string(), film, "--json"});
    REQUIRE_MESSAGE(f.code == 0, f.err);
    return f.out;
  };
  const std::string torch = predict();
  CHECK(preprocessing(rescaling(1 / 255.0, 0)) == "rescale 0.003921569 0.003921569 0.003921569 0 0 0");
  const std::string kept = predict();
  CHECK(preprocessing(rescaling(1 / 127.5, -1), {"--preprocessing", "rescale 0.003921569 0"}) == "rescale 0.003921569 0");
  CHECK(predict() == kept);
  CHECK(kept != torch);
  const Finished f = convert_file(dir / "user.h5", dir / "x.h5", {"--preprocessing", "rescale 1"});
  CHECK(f.code == 2);
  CHECK(f.err.find("there are caffe, tf, torch, 'rescale S O'") != std::string::npos);
}

TEST_CASE("with weights left out there is no head, and of two nets one must be named") {
  const TempDir dir;
  const fs::path file = classifier_with({{"class_name", "RandomFlip"}, {"config", {{"name", "flip"}}}}, dir), out = dir / "out.h5",
                 vgg = dir / "vgg.h5";
  const auto add_layer = [&](hid_t h, const std::string& layer, const std::vector<std::string>& weights) {
    const hdf5::Handle list(H5Gopen2(h, "model_weights", H5P_DEFAULT), H5Gclose);
    auto names = std::get<std::vector<std::string>>(*hdf5::attribute(list, "layer_names"));
    names.push_back(layer);
    REQUIRE(hdf5::write_attribute(list, "layer_names", names));
    REQUIRE(hdf5::write_attribute(hdf5::Handle(H5Gopen2(list, layer.c_str(), H5P_DEFAULT), H5Gclose), "weight_names", weights));
  };
  edit_h5(file, [&](hid_t h) {  // a batch norm: a copy of one that is there
    H5Ocopy(h, "model_weights/bn_Conv1", h, "model_weights/own", H5P_DEFAULT, H5P_DEFAULT);
    add_layer(h, "own", {"bn_Conv1/gamma", "bn_Conv1/beta", "bn_Conv1/moving_mean", "bn_Conv1/moving_variance"});
  });
  CHECK(convert_file(file, out).err.find("4 tensors of the file are not used") != std::string::npos);
  const Finished f = convert_file(file, out, {"--allow-unused"});
  REQUIRE_MESSAGE(f.code == 0, f.err);
  CHECK(!nlohmann::json::parse(f.out).contains("head"));
  CHECK(f.out.find("without which they would give other results") != std::string::npos);
  CHECK(WeightFileReader(out).tensors().size() == 260);

  write_legacy_h5(vgg, convert::find_layout(layouts(), "vgg16"));
  edit_h5(file, [&](hid_t h) {
    const hdf5::Handle other(H5Fopen(vgg.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    for (const hdf5::Child& c : hdf5::children(hdf5::Handle(H5Gopen2(other, "/", H5P_DEFAULT), H5Gclose))) {
      REQUIRE(H5Ocopy(other, c.name.c_str(), h, ("model_weights/" + c.name).c_str(), H5P_DEFAULT, H5P_DEFAULT) >= 0);
      add_layer(h, c.name, {c.name + "/kernel", c.name + "/bias"});
    }
  });
  CHECK(convert_file(file, out, {"--allow-unused"}).err.find("holds MobileNetV2 and VGG16; say with --net which of them is wanted") !=
        std::string::npos);
  for (const char* net : {"vgg16", "mobilenet_v2"}) {
    const Finished g = convert_file(file, out, {"--allow-unused", "--net", net});
    REQUIRE_MESSAGE(g.code == 0, g.err);
    CHECK(WeightFileReader(out).text("net") == net);
  }
}
