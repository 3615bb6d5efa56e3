// Good files, changed in one way: what must still be read, and what must be refused and why.
#include <cstring>
#include <fstream>
#include <limits>

#include "tests/tools/support/convert_support.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

using Edit = std::function<void(hid_t file)>;
using hdf5::Handle;

constexpr char kLegacy[] = "MobileNetV2_notop_k3legacy.h5.zst", kTree[] = "MobileNetV2_notop.weights.h5.zst";

std::string after(const char* golden, const Edit& edit, size_t heads = 0, const std::string& net = "MobileNetV2") {
  const TempDir dir;
  const fs::path path = unpack("dialects", golden, dir), out = dir / "converted.model";
  edit_h5(path, edit);
  const std::string refusal = refusal_of(path, out);
  if (!refusal.empty()) {
    CHECK(!fs::exists(out));
    return refusal;
  }
  return check_constants(out, net, false, heads);
}

void expect_refusal(const char* golden, const std::string& part, const Edit& edit) {
  CAPTURE(part);
  const std::string got = after(golden, edit);
  CAPTURE(got);
  CHECK(got.find(part) != std::string::npos);
}

std::vector<std::string> names(hid_t object, const char* attribute) {
  return std::get<std::vector<std::string>>(*hdf5::attribute(object, attribute));
}

// Names as numpy's fixed-length bytes: `size` 0 takes the longest.
void write_fixed(hid_t object, const std::string& attribute, const std::vector<std::string>& texts, H5T_str_t pad, H5T_cset_t set) {
  size_t size = 1;
  for (const std::string& t : texts) size = std::max(size, t.size() + (pad == H5T_STR_NULLTERM));
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, size), H5Tset_strpad(type, pad), H5Tset_cset(type, set);
  std::string bytes(size * texts.size(), pad == H5T_STR_SPACEPAD ? ' ' : '\0');
  for (size_t i = 0; i < texts.size(); ++i) bytes.replace(i * size, texts[i].size(), texts[i]);
  const hsize_t count = texts.size();
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  if (H5Aexists(object, attribute.c_str()) > 0) H5Adelete(object, attribute.c_str());
  const Handle a(H5Acreate2(object, attribute.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  REQUIRE(H5Awrite(a, type, bytes.data()) >= 0);
}

void set_names(hid_t object, const char* attribute, const std::vector<std::string>& texts) {
  REQUIRE(hdf5::write_attribute(object, attribute, texts));
}

Handle group(hid_t file, const std::string& path) { return {H5Gopen2(file, path.c_str(), H5P_DEFAULT), H5Gclose}; }

// Writes the dataset again with other properties and the values that `change` leaves.
void rewrite(hid_t file, const std::string& path, hid_t type, hid_t properties,
             const std::function<void(std::vector<float>&)>& change = {}) {
  const Handle old(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose), space(H5Dget_space(old), H5Sclose);
  std::vector<float> values(size_t(H5Sget_simple_extent_npoints(space)));
  REQUIRE(H5Dread(old, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
  if (change) change(values);
  H5Ldelete(file, path.c_str(), H5P_DEFAULT);
  const Handle made(H5Dcreate2(file, path.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT), H5Dclose);
  REQUIRE(H5Dwrite(made, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
}

Handle chunked(std::vector<hsize_t> chunk, bool packed) {
  Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(list, int(chunk.size()), chunk.data());
  if (packed) H5Pset_shuffle(list), H5Pset_deflate(list, 6), H5Pset_fletcher32(list);
  return list;
}

}  // namespace

TEST_CASE("names in every form of attribute are read") {
  NEEDS_GOLDENS("dialects");
  for (const H5T_str_t pad : {H5T_STR_NULLTERM, H5T_STR_NULLPAD, H5T_STR_SPACEPAD})
    for (const H5T_cset_t set : {H5T_CSET_ASCII, H5T_CSET_UTF8}) {
      CAPTURE(int(pad));
      CHECK(after(kLegacy, [&](hid_t file) {
              for (const std::string& layer : names(file, "layer_names")) {
                const Handle g = group(file, layer);
                if (const auto a = hdf5::attribute(g, "weight_names"); std::holds_alternative<std::vector<std::string>>(*a))
                  write_fixed(g, "weight_names", std::get<std::vector<std::string>>(*a), pad, set);
              }
              write_fixed(file, "layer_names", names(file, "layer_names"), pad, set);
            }) == "");
    }
}

TEST_CASE("name lists in pieces are read") {
  NEEDS_GOLDENS("dialects");
  const auto split = [](bool gap) {
    return [gap](hid_t file) {
      const std::vector<std::string> all = names(file, "layer_names");
      H5Adelete(file, "layer_names");
      for (size_t i = 0; i * 20 < all.size(); ++i)
        set_names(file, ("layer_names" + std::to_string(i + (gap && i > 2))).c_str(),
                  {all.begin() + int(i * 20), all.begin() + int(std::min(all.size(), i * 20 + 20))});
    };
  };
  CHECK(after(kLegacy, split(false)) == "");
  CHECK(after(kLegacy, split(true)).find("but does not hold all of it") != std::string::npos);
}

TEST_CASE("every way of storing floats is read") {
  NEEDS_GOLDENS("dialects");
  const Handle half(H5Tcopy(H5T_IEEE_F32BE), H5Tclose);
  H5Tset_fields(half, 15, 10, 5, 0, 10), H5Tset_size(half, 2), H5Tset_ebias(half, 15);
  CHECK(after(kLegacy, [&](hid_t file) {
          rewrite(file, "/Conv1/Conv1/kernel", H5T_IEEE_F64BE, H5P_DEFAULT);
          rewrite(file, "/bn_Conv1/bn_Conv1/gamma", half, H5P_DEFAULT);
          rewrite(file, "/bn_Conv1/bn_Conv1/beta", H5T_IEEE_F32BE, chunked({7}, false));
          rewrite(file, "/Conv_1/Conv_1/kernel", H5T_IEEE_F32LE, chunked({1, 1, 100, 300}, true));
          rewrite(file, "/block_16_project/block_16_project/kernel", H5T_IEEE_F64LE, chunked({1, 1, 960, 320}, true));
        }) == "");
}

TEST_CASE("a file whose HDF5 part begins after a user block is read in the right place") {
  NEEDS_GOLDENS("dialects");
  const TempDir dir;
  const fs::path plain = unpack("dialects", kTree, dir), moved = dir / "moved.weights.h5", out = dir / "converted.model";
  for (const size_t block : {512, 2048}) {
    std::ofstream(moved, std::ios::binary) << std::string(block, ' ') << read_file(plain);
    CHECK(refusal_of(moved, out) == "");
    CHECK(check_constants(out, "MobileNetV2", false, 0) == "");
  }
}

TEST_CASE("numbers that are not finite are refused") {
  NEEDS_GOLDENS("dialects");
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()})
    expect_refusal(kLegacy, "'Conv_1/Conv_1/kernel' holds a number that is not finite", [&](hid_t f) {
      rewrite(f, "/Conv_1/Conv_1/kernel", H5T_IEEE_F32LE, H5P_DEFAULT, [&](std::vector<float>& v) { v.back() = bad; });
    });
  expect_refusal(kLegacy, "holds a number that is not finite", [](hid_t f) {  // too large for float32
    rewrite(f, "/Conv1/Conv1/kernel", H5T_IEEE_F64LE, H5P_DEFAULT);
    const Handle set(H5Dopen2(f, "/Conv1/Conv1/kernel", H5P_DEFAULT), H5Dclose);
    const std::vector<double> huge(864, 1e300);
    H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, huge.data());
  });
}

TEST_CASE("legacy lists that do not fit their file are refused") {
  NEEDS_GOLDENS("dialects");
  expect_refusal(kLegacy, "layer_names lists 'block_6_expand' twice", [](hid_t f) {
    std::vector<std::string> all = names(f, "layer_names");
    *std::find(all.begin(), all.end(), "block_5_expand") = "block_6_expand";
    set_names(f, "layer_names", all);
  });
  expect_refusal(kLegacy, "names and order disagree", [](hid_t f) {
    std::vector<std::string> all = names(f, "layer_names");
    std::swap(*std::find(all.begin(), all.end(), "block_5_expand"), *std::find(all.begin(), all.end(), "block_4_expand"));
    set_names(f, "layer_names", all);
  });
  expect_refusal(kLegacy, "lists the weight 'bn_Conv1/gamma' twice", [](hid_t f) {
    set_names(group(f, "bn_Conv1"), "weight_names",
              {"bn_Conv1/gamma", "bn_Conv1/gamma", "bn_Conv1/moving_mean", "bn_Conv1/moving_variance"});
  });
  expect_refusal(kLegacy, "layer 'Conv1' has no weight_names", [](hid_t f) { H5Adelete(group(f, "Conv1"), "weight_names"); });
  expect_refusal(kLegacy, "there is no 'another'", [](hid_t f) {
    std::vector<std::string> all = names(f, "layer_names");
    all.push_back("another");
    set_names(f, "layer_names", all);
  });
  expect_refusal(kLegacy, "'..' is no name of an object",
                 [](hid_t f) { set_names(group(f, "Conv1"), "weight_names", {"../bn_Conv1/bn_Conv1/gamma"}); });
  expect_refusal(kLegacy, "1 tensors of the file are not used\n  unused   Conv1/extra (in no list of weights)", [](hid_t f) {
    const hsize_t n = 3;
    const Handle space(H5Screate_simple(1, &n, nullptr), H5Sclose),
        made(H5Dcreate2(f, "/Conv1/extra", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
  });
  expect_refusal(kLegacy, "two names for one object", [](hid_t f) {  // a twin instead of the layer's own weights
    H5Ldelete(f, "/block_5_expand/block_5_expand/kernel", H5P_DEFAULT);
    H5Lcreate_hard(f, "/block_4_expand/block_4_expand/kernel", f, "/block_5_expand/block_5_expand/kernel", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refusal(kLegacy, "two names for one object", [](hid_t f) { H5Lcreate_hard(f, "/", f, "/Conv1/loop", H5P_DEFAULT, H5P_DEFAULT); });
  expect_refusal(kLegacy, "unknown  bn_Conv1/bn_Conv1/delta [32]", [](hid_t f) {
    H5Lmove(f, "/bn_Conv1/bn_Conv1/gamma", f, "/bn_Conv1/bn_Conv1/delta", H5P_DEFAULT, H5P_DEFAULT);
    set_names(group(f, "bn_Conv1"), "weight_names",
              {"bn_Conv1/delta", "bn_Conv1/beta", "bn_Conv1/moving_mean", "bn_Conv1/moving_variance"});
  });
  expect_refusal(kLegacy, "Theano", [](hid_t f) { hdf5::write_attribute(f, "backend", "theano"); });
  expect_refusal(kLegacy, "'layer_names' is not a list of names", [](hid_t f) {
    hdf5::write_attribute(f, "layer_names", std::vector<int64_t>{1, 2});
  });
  expect_refusal(kLegacy, "holds none of the nets", [](hid_t f) { set_names(f, "layer_names", {"Conv1", "bn_Conv1"}); });
  expect_refusal(kLegacy, "nothing would be loaded", [](hid_t f) { set_names(f, "layer_names", {}); });
}

TEST_CASE("trees of weights with and without names") {
  NEEDS_GOLDENS("dialects");
  const auto each_layer = [](hid_t file, const std::function<void(hid_t vars, const std::string& name)>& f) {
    const Handle layers = group(file, "layers");
    for (const hdf5::Child& c : hdf5::children(layers)) f(group(layers, c.name + "/vars"), c.name);
  };
  const Edit no_names = [&](hid_t file) { each_layer(file, [](hid_t vars, const std::string&) { H5Adelete(vars, "name"); }); };
  CHECK(after(kTree, no_names) == "");
  for (const std::string net : {"VGG16", "DenseNet121", "InceptionV3", "ResNet50"}) {
    CAPTURE(net);
    CHECK(after((net + "_notop.weights.h5.zst").c_str(), no_names, 0, net) == "");
  }
  CHECK(after(kTree, [&](hid_t file) {  // tf.keras 2.13 called the list otherwise
          no_names(file);
          H5Lmove(file, "/layers", file, "/_layer_checkpoint_dependencies", H5P_DEFAULT, H5P_DEFAULT);
        }) == "");
  CHECK(after(kTree, [&](hid_t file) {  // an attribute of somebody's own class
          H5Gcreate2(file, "/backbone", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
          H5Lmove(file, "/layers", file, "/backbone/layers", H5P_DEFAULT, H5P_DEFAULT);
        }) == "");
  expect_refusal(kTree, "names and order disagree", [](hid_t file) {
    hdf5::write_attribute(group(file, "layers/conv2d_8/vars"), "name", "block_5_expand");
    hdf5::write_attribute(group(file, "layers/conv2d_10/vars"), "name", "block_4_expand");
  });
  expect_refusal(kTree, "but none is called 1", [](hid_t file) {
    H5Lmove(file, "/layers/batch_normalization/vars/1", file, "/layers/batch_normalization/vars/7", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refusal(kTree, "has 3 of 4 tensors", [](hid_t file) { H5Ldelete(file, "/layers/batch_normalization/vars/3", H5P_DEFAULT); });
  expect_refusal(kTree, "missing  block_3_expand/kernel", [](hid_t file) { H5Ldelete(file, "/layers/conv2d_6", H5P_DEFAULT); });
  expect_refusal(kTree, "'layers' is a soft link", [](hid_t file) {
    H5Lmove(file, "/layers", file, "/elsewhere", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/elsewhere", file, "layers", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refusal(kTree, "times: below", [](hid_t file) {
    const Handle copy(H5Gcreate2(file, "/twin", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    H5Ocopy(file, "/layers", copy, "layers", H5P_DEFAULT, H5P_DEFAULT);
  });
}

TEST_CASE("heads that are no head of ptrain are refused by name") {
  constexpr char kNested[] = "MobileNetV2_nested.weights.h5.zst";
  NEEDS_GOLDENS("dialects");
  const auto replace = [](hid_t file, const char* path, std::vector<hsize_t> shape) {
    const Handle old(H5Dopen2(file, path, H5P_DEFAULT), H5Dclose), type(H5Dget_type(old), H5Tclose);
    H5Ldelete(file, path, H5P_DEFAULT);
    hsize_t count = 1;
    for (const hsize_t d : shape) count *= d;
    const Handle space(H5Screate_simple(int(shape.size()), shape.data(), nullptr), H5Sclose);
    const Handle made(H5Dcreate2(file, path, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
    H5Dwrite(made, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, std::vector<float>(count, 0.5f).data());
  };
  CHECK(after(
            kNested, [](hid_t) {}, 6) == "");
  expect_refusal(kNested, "no dense layer takes the 1280 features of the base after global pooling; head_1 takes 62720", [&](hid_t f) {
    replace(f, "/layers/dense/vars/0", {62720, 256});
  });
  // attention over the channels has dense layers only, and no configuration: the layer without weights tells it
  expect_refusal(kNested, "it has a layer of class multiply, and the file has no configuration",
                 [&](hid_t f) { H5Gcreate2(f, "/layers/multiply_1", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT); });
  const auto with_layer = [](const char* name) {
    return [name](hid_t f) {
      H5Adelete(f, "model_config");
      const Handle weights = group(f, "model_weights");
      const Handle made(H5Gcreate2(weights, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
      set_names(made, "weight_names", {});
      std::vector<std::string> all = names(weights, "layer_names");
      all.push_back(name);
      set_names(weights, "layer_names", all);
    };
  };
  expect_refusal("MobileNetV2_nested_top30.h5.zst", "it has a layer of class multiply, and the file has no configuration",
                 with_layer("multiply_1"));
  CHECK(after("MobileNetV2_nested_top30.h5.zst", with_layer("dropout_7"), 6) == "");
  CHECK(after(
            kNested, [](hid_t f) { H5Gcreate2(f, "/layers/random_flip", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT); }, 6) == "");
  expect_refusal(kNested, "2 tensors of the file are not used", [&](hid_t f) {  // a batch norm in the head
    H5Gcreate2(f, "/layers/layer_normalization", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Gcreate2(f, "/layers/layer_normalization/vars", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    for (const char* n : {"/layers/layer_normalization/vars/0", "/layers/layer_normalization/vars/1"}) {
      const hsize_t size = 1280;
      const Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose),
          made(H5Dcreate2(f, n, H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
      H5Dwrite(made, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, std::vector<float>(1280).data());
    }
  });
  expect_refusal(kNested, "not used", [&](hid_t f) { H5Ldelete(f, "/layers/dense_1/vars/1", H5P_DEFAULT); });  // a dense layer without bias
}

TEST_CASE("a head keeps its order and a sigmoid becomes two classes") {
  constexpr char kNested[] = "MobileNetV2_nested.weights.h5.zst";
  NEEDS_GOLDENS("dialects");
  const TempDir dir;
  const fs::path path = unpack("dialects", kNested, dir), out = dir / "m.h5";
  edit_h5(path, [](hid_t f) {
    H5Lmove(f, "/layers/dense_1", f, "/a_attribute", H5P_DEFAULT,
            H5P_DEFAULT);  // as in a class of somebody's own: only the shapes tell the order
    for (const char* n : {"0", "1"}) {
      const std::string p = std::string("/layers/dense_2/vars/") + n;
      H5Ldelete(f, p.c_str(), H5P_DEFAULT);
      const hsize_t shape[2] = {n[0] == '0' ? hsize_t(128) : hsize_t(1), 1};
      const Handle space(H5Screate_simple(n[0] == '0' ? 2 : 1, shape, nullptr), H5Sclose),
          made(H5Dcreate2(f, p.c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
      H5Dwrite(made, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, std::vector<float>(128, 3.f).data());
    }
  });
  convert::ConvertReport r;
  REQUIRE(refusal_of({.file = path, .out = out, .net = "auto", .allow_unused = false, .classes = {"NORMAL", "PNEUMONIA"}}, &r) == "");
  REQUIRE(r.plan.head);
  CHECK(r.plan.head->units == std::vector<int64_t>{256, 128});
  CHECK(r.plan.head->classes == 2);
  const WeightFileReader m(out);
  REQUIRE(m.tensors().size() == 266);
  CHECK(m.tensors()[264].key() == "head_out/kernel");
  CHECK(m.tensors()[264].shape == Shape{128, 2});
  std::vector<float> kernel(256), bias(2), hidden(256 * 128);
  m.read(m.tensors()[264], kernel);
  CHECK(kernel[0] == 0.f);
  CHECK(kernel[1] == 3.f);
  CHECK(kernel[254] == 0.f);
  CHECK(kernel[255] == 3.f);
  m.read(m.tensors()[265], bias);
  CHECK(bias == std::vector<float>{0, 3});
  m.read(m.tensors()[262], hidden);
  CHECK(hidden[1] == 263.f / 1024);
  CHECK(m.texts("classes") == std::vector<std::string>{"NORMAL", "PNEUMONIA"});
  CHECK(refusal_of({.file = path, .out = out, .net = "auto", .allow_unused = false, .classes = {"A", "B", "C"}})
            .find("--classes names 3 classes, the head has 2") != std::string::npos);
}
