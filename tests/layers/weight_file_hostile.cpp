#include <zlib.h>

#include <array>
#include <functional>

#include "layers/hdf5_lzf.hpp"
#include "layers/weight_file.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;
namespace fs = std::filesystem;

namespace {

using Make = std::function<void(hid_t file, hid_t layer)>;

hid_t simple(std::vector<hsize_t> dims) { return H5Screate_simple(int(dims.size()), dims.data(), nullptr); }

// A model file with the layer "a", made by the library directly. Ids are left to H5Fclose (strong).
void make_file(const fs::path& path, const Make& fill, bool version = true) {
  const hdf5::Session session;
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  REQUIRE(file >= 0);
  if (version) REQUIRE(hdf5::write_attribute(file, "format_version", int64_t(1)));
  const hid_t weights = H5Gcreate2(file, "weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  fill(file, H5Gcreate2(weights, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Fclose(file);
  H5Pclose(access);
}

// Opens and reads everything; the text of the error.
std::string verdict(const fs::path& path) {
  try {
    const WeightFileReader r(path);
    for (const StoredTensor& t : r.tensors()) {
      std::vector<float> v(size_t(t.shape.size()));
      r.read(t, v);
    }
    for (const std::string& s : r.state_names()) r.state(s);
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::weights);
    CHECK(std::string(e.what()).find(path.string()) != std::string::npos);
    return e.what();
  }
  return "accepted";
}

void expect(const std::string& part, const Make& fill, bool version = true) {
  CAPTURE(part);
  const test::TempDir dir;
  make_file(dir / "m.h5", fill, version);
  const std::string got = verdict(dir / "m.h5");
  CAPTURE(got);
  CHECK(got.find(part) != std::string::npos);
}

hid_t chunked(std::vector<hsize_t> chunk, int deflate) {
  const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(list, int(chunk.size()), chunk.data());
  if (deflate >= 0) H5Pset_deflate(list, unsigned(deflate));
  return list;
}

hid_t dataset(hid_t at, const char* name, hid_t type, hid_t space, hid_t list = H5P_DEFAULT) {
  return H5Dcreate2(at, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
}

// A chunk whose deflate stream unpacks to `bytes` zeros.
void put_chunk(hid_t set, size_t bytes, bool cut = false) {
  const std::vector<Bytef> zeros(bytes);
  uLongf size = compressBound(uLong(bytes));
  std::vector<Bytef> packed(size);
  compress(packed.data(), &size, zeros.data(), uLong(bytes));
  const std::array<hsize_t, 1> at{0};
  REQUIRE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, at.data(), cut ? size / 2 : size, packed.data()) >= 0);
}

}  // namespace

TEST_CASE("hostile model files are refused by name") {
  expect("'kernel' is a soft link", [](hid_t, hid_t a) { H5Lcreate_soft("/weights", a, "kernel", H5P_DEFAULT, H5P_DEFAULT); });
  expect("'kernel' is an external link",
         [](hid_t, hid_t a) { H5Lcreate_external("other.h5", "/x", a, "kernel", H5P_DEFAULT, H5P_DEFAULT); });
  expect("/weights/a/kernel is not a dataset", [](hid_t, hid_t a) { H5Gcreate2(a, "kernel", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT); });
  expect("not stored as floating-point", [](hid_t, hid_t a) {
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    dataset(a, "kernel", H5T_STD_I32LE, simple({4}), list);
  });
  expect("has external storage", [](hid_t, hid_t a) {
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(list, "/etc/passwd", 0, 16);
    dataset(a, "kernel", H5T_IEEE_F32LE, simple({4}), list);
  });
  expect("is virtual", [](hid_t, hid_t a) {
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(list, simple({4}), "other.h5", "/x", simple({4}));
    dataset(a, "kernel", H5T_IEEE_F32LE, simple({4}), list);
  });
  expect("but stores 0", [](hid_t, hid_t a) { dataset(a, "kernel", H5T_IEEE_F32LE, simple({1 << 20, 1 << 10})); });  // never written
  expect("declares more than 16 GiB", [](hid_t, hid_t a) {
    dataset(a, "kernel", H5T_IEEE_F32LE, simple({1u << 31, 1u << 31, 1u << 31}), chunked({64, 1, 1}, 1));
  });
  expect("but stores 0", [](hid_t, hid_t a) { dataset(a, "kernel", H5T_IEEE_F32LE, simple({1u << 30}), chunked({1 << 16}, 1)); });
  expect("does not store all of it", [](hid_t, hid_t a) {
    const hid_t set = dataset(a, "kernel", H5T_IEEE_F32LE, simple({2048}), chunked({1024}, 1));
    put_chunk(set, 4096);
  });
  expect("has 5 dimensions", [](hid_t, hid_t a) { dataset(a, "kernel", H5T_IEEE_F32LE, simple({1, 1, 1, 1, 4})); });
  expect("format version 99", [](hid_t file, hid_t) { hdf5::write_attribute(file, "format_version", int64_t(99)); });
  expect(
      "not a model file", [](hid_t, hid_t) {}, false);
  expect(
      "this is a Keras file", [](hid_t file, hid_t) { hdf5::write_attribute(file, "keras_version", "3.15.1"); }, false);
  expect("contains itself", [](hid_t file, hid_t) {
    const hid_t state = H5Gcreate2(file, "state", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file, "state", state, "again", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect("is neither float32", [](hid_t file, hid_t) {
    const hid_t state = H5Gcreate2(file, "state", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    dataset(state, "s", H5T_STD_I64BE, simple({4}), list);
  });
}

TEST_CASE("compressed chunks must unpack to their size") {
  const auto with_chunk = [](size_t bytes, bool cut) {
    return [=](hid_t, hid_t a) { put_chunk(dataset(a, "kernel", H5T_IEEE_F32LE, simple({1024}), chunked({1024}, 6)), bytes, cut); };
  };
  expect("accepted", with_chunk(4096, false));
  expect("does not unpack to its size", with_chunk(4092, false));  // the library would read past the end of its buffer
  expect("does not unpack to its size", with_chunk(4100, false));
  expect("does not unpack to its size", with_chunk(size_t(1) << 26, false));  // 64 kilobytes that would become 64 megabytes
  expect("does not unpack to its size", with_chunk(4096, true));
  expect("far larger than itself", [](hid_t, hid_t a) {
    const hid_t list = chunked({1u << 28}, 6);
    const hsize_t dims = 16, limit = H5S_UNLIMITED;
    const hid_t set = dataset(a, "kernel", H5T_IEEE_F32LE, H5Screate_simple(1, &dims, &limit), list);
    put_chunk(set, 64);
  });
  const auto with_lzf = [](const std::string& packed) {
    return [packed](hid_t, hid_t a) {
      H5Zunregister(hdf5::kLzf);  // ours only reads; a filter that is not known at all may be written
      const hid_t list = chunked({4}, -1);
      H5Pset_filter(list, hdf5::kLzf, H5Z_FLAG_OPTIONAL, 0, nullptr);
      const std::array<hsize_t, 1> at{0};
      REQUIRE(H5Dwrite_chunk(dataset(a, "kernel", H5T_IEEE_F32LE, simple({4}), list), H5P_DEFAULT, 0, at.data(), packed.size(),
                             packed.data()) >= 0);
    };
  };
  expect("accepted", with_lzf(std::string("\0\0\xe0\x06\0", 5)));  // one byte, then 15 times the byte before
  expect("does not unpack to its size", with_lzf(std::string("\0\0\xe0\x05\0", 5)));
  expect("does not unpack to its size", with_lzf(std::string("\0\0\xe0\xff\0", 5)));
  expect("does not unpack to its size", with_lzf(std::string("\0\0\xe0\x06\1", 5)));  // from before the beginning
  expect("does not unpack to its size", with_lzf(std::string("\x1f\0\0", 3)));
  expect("is packed by filter 32004", [](hid_t, hid_t a) {
    const hid_t list = chunked({16}, -1);
    H5Pset_filter(list, 32004, H5Z_FLAG_OPTIONAL, 0, nullptr);
    dataset(a, "kernel", H5T_IEEE_F32LE, simple({16}), list);
  });
}

TEST_CASE("chunked, filtered and half-precision weights are read") {
  const test::TempDir dir;
  std::vector<float> values(7 * 5);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i) / 8;
  make_file(dir / "m.h5", [&](hid_t, hid_t a) {
    const hid_t half = H5Tcopy(H5T_IEEE_F32BE);
    H5Tset_fields(half, 15, 10, 5, 0, 10), H5Tset_size(half, 2), H5Tset_ebias(half, 15);
    const auto put = [&](const char* name, hid_t type, hid_t list) {
      REQUIRE(H5Dwrite(dataset(a, name, type, simple({7, 5}), list), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
    };
    put("double", H5T_IEEE_F64BE, H5P_DEFAULT);
    put("half", half, H5P_DEFAULT);
    put("chunked", H5T_IEEE_F32LE, chunked({3, 2}, -1));
    const hid_t all = chunked({4, 4}, -1);
    H5Pset_shuffle(all), H5Pset_deflate(all, 9), H5Pset_fletcher32(all);
    put("packed", half, all);
    const hid_t checked_first = chunked({2, 5}, -1);
    H5Pset_fletcher32(checked_first), H5Pset_deflate(checked_first, 1);
    put("packed2", H5T_IEEE_F32BE, checked_first);
    const hid_t compact = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(compact, H5D_COMPACT);
    put("compact", H5T_IEEE_F32LE, compact);
  });
  const WeightFileReader r(dir / "m.h5");
  REQUIRE(r.tensors().size() == 6);
  for (const StoredTensor& t : r.tensors()) {
    CAPTURE(t.weight);
    std::vector<float> got(35);
    r.read(t, got);
    CHECK(got == values);
  }
}
