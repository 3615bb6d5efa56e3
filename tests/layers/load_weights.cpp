#include <numeric>

#include "layers/formula.hpp"
#include "layers/weight_file.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;

namespace {

Params net(const std::vector<std::pair<std::string, Shape>>& tensors, DType dtype = DType::float32) {
  Params params;
  for (const auto& [key, shape] : tensors) params.get(key.substr(0, key.find('/')), key.substr(key.find('/') + 1), shape);
  params.seal();
  params.allocate(open_device({DeviceKind::reference}), dtype);
  for (Param& p : params.list()) p.value.upload(std::vector<float>(size_t(p.shape.size()), -1.f));
  return params;
}

bool untouched(const Params& params) {
  for (const Param& p : params.list())
    for (const float v : p.value.to_floats())
      if (v != -1.f) return false;
  return true;
}

std::string error_of(Params& params, const WeightFileReader& file, const LoadOptions& options = {}) {
  try {
    load_weights(params, file, options);
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::weights);
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("weights: what is saved is loaded") {
  const test::TempDir dir;
  Params a = net({{"conv/kernel", {3, 3, 2, 4}}, {"conv/bias", {4}}, {"head/kernel", {4, 2}}});
  formula_weights(a, "VGG16", "salt/");
  {
    WeightFileWriter w(dir / "m.h5");
    save_weights(a, w);
    w.commit();
  }
  const WeightFileReader file(dir / "m.h5");
  for (const DType dtype : {DType::float32, DType::float64}) {
    Params b = net({{"head/kernel", {4, 2}}, {"conv/bias", {4}}, {"conv/kernel", {3, 3, 2, 4}}}, dtype);  // in any order
    CHECK(load_weights(b, file).empty());
    for (const Param& p : a.list()) CHECK(b.at(p.key()).value.to_floats() == p.value.to_floats());
  }
}

TEST_CASE("weights: one error lists everything and nothing is changed") {
  const test::TempDir dir;
  {
    WeightFileWriter w(dir / "m.h5");
    w.attribute("net", "vgg16");
    w.weight("conv", "kernel", {1, 1, 2, 4}, std::vector<float>(8));
    w.weight("conv_x", "gamma", {4}, std::vector<float>(4));
    w.weight("bn", "beta", {4}, std::vector<float>(4));
    w.weight("predictions", "kernel", {4, 1000}, std::vector<float>(4000));
    w.commit();
  }
  const WeightFileReader file(dir / "m.h5");
  Params p = net({{"conv/kernel", {1, 2, 1, 4}}, {"conv_y/gamma", {4}}, {"bn/beta", {4}}, {"head/kernel", {4, 2}}});
  LoadOptions options{.leave_out = [](const std::string& l) { return l == "predictions"; },
                      .leave_alone = [](const std::string& l) { return l == "head"; },
                      .into = "vgg16"};
  CHECK(error_of(p, file, options) == "loading " + (dir / "m.h5").string() +
                                          " into vgg16: 1 parameter is not in the file, 1 in the file is not used, 1 has another shape\n"
                                          "  missing  conv_y/gamma [4]\n"
                                          "  unused   conv_x/gamma [4]\n"
                                          "  shape    conv/kernel is [1, 1, 2, 4] in the file, [1, 2, 1, 4] is wanted\n"
                                          "  nothing was changed. Was the file written by another version of nets/vgg16.cpp?");
  CHECK(untouched(p));
  options.into = "resnet50";
  CHECK(error_of(p, file, options).ends_with("nothing was changed. The file holds vgg16."));
  const std::string all = error_of(p, file);  // without the options both sides of the head are wrong
  CHECK(all.find("missing  head/kernel") != std::string::npos);
  CHECK(all.find("unused   predictions/kernel [4, 1000]") != std::string::npos);

  Params good = net({{"bn/beta", {4}}, {"head/kernel", {4, 2}}});
  const auto others = [](const std::string& l) { return l != "bn"; };
  CHECK(load_weights(good, file, {.leave_out = others, .leave_alone = others}) ==
        std::vector<std::string>{"conv", "conv_x", "predictions"});
  CHECK(good.at("bn/beta").value.to_floats() == std::vector<float>(4));
  CHECK(good.at("head/kernel").value.to_floats() == std::vector<float>(8, -1.f));
}

TEST_CASE("weights: one kind of fault alone is an error") {
  const test::TempDir dir;
  {
    WeightFileWriter w(dir / "m.h5");
    w.weight("a", "kernel", {4}, std::vector<float>(4));
    w.weight("b", "kernel", {2}, std::vector<float>(2));
    w.commit();
  }
  const WeightFileReader file(dir / "m.h5");
  const auto refused = [&](const std::vector<std::pair<std::string, Shape>>& tensors, const std::string& why) {
    Params p = net(tensors);
    CHECK(error_of(p, file).find(why) != std::string::npos);
    CHECK(untouched(p));
  };
  refused({{"a/kernel", {4}}}, "unused   b/kernel [2]");
  refused({{"a/kernel", {4}}, {"b/kernel", {2}}, {"c/kernel", {1}}}, "missing  c/kernel [1]");
  refused({{"a/kernel", {4}}, {"b/kernel", {1, 2}}}, "shape    b/kernel is [2] in the file, [1, 2] is wanted");
}

TEST_CASE("weights: a long list is cut") {
  const test::TempDir dir;
  {
    WeightFileWriter w(dir / "m.h5");
    w.commit();
  }
  std::vector<std::pair<std::string, Shape>> many;
  for (int i = 0; i < 30; ++i) many.push_back({"layer" + std::to_string(i) + "/kernel", {1}});
  Params p = net(many);
  const std::string error = error_of(p, WeightFileReader(dir / "m.h5"));
  CHECK(error.find("30 parameters are not in the file\n") != std::string::npos);
  CHECK(error.find("… and 10 more") != std::string::npos);
  CHECK(error.find("layer20/kernel") == std::string::npos);
}

TEST_CASE("weights: damage found on the way changes nothing") {
  const test::TempDir dir;
  const auto path = dir / "m.h5";
  {
    WeightFileWriter w(path);
    w.weight("a", "kernel", {4}, std::vector<float>(4));
    w.commit();
  }
  {
    const hdf5::Session session;  // a second tensor, whose chunk is no deflate stream
    const hdf5::Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose),
        group(H5Gopen2(file, "/weights/a", H5P_DEFAULT), H5Gclose);
    const hdf5::Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const hsize_t size = 4, at = 0;
    H5Pset_chunk(list, 1, &size), H5Pset_deflate(list, 1);
    const hdf5::Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
    const hdf5::Handle set(H5Dcreate2(group, "z", H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT), H5Dclose);
    REQUIRE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, &at, 6, "damage") >= 0);
  }
  Params p = net({{"a/kernel", {4}}, {"a/z", {4}}});
  CHECK(error_of(p, WeightFileReader(path)).find("'/weights/a/z' has a chunk that does not unpack") != std::string::npos);
  CHECK(untouched(p));
}
