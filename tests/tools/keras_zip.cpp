#include "tools/convert/keras_zip.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <fstream>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "tests/tools/support/convert_support.hpp"
#include "tests/tools/support/write_keras.hpp"
#include "tools/convert/convert.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

const std::string kHdf5Start = std::string("\x89HDF\r\n\x1a\n", 8);
const std::string kMeta = R"({"keras_version": "3.9.0"})", kConfig = R"({"class_name": "Functional"})";

std::string deflated(const std::string& data) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, uLong(data.size())), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data())), z.avail_in = uInt(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data()), z.avail_out = uInt(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

uint32_t crc_of(const std::string& data) { return uint32_t(crc32(0, reinterpret_cast<const Bytef*>(data.data()), uInt(data.size()))); }

struct Unpacked {
  std::string error, weights;
  convert::KerasZip zip;
};

Unpacked unpack_zip(const std::string& bytes) {
  const TempDir dir;
  std::ofstream(dir / "x.keras", std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
  const int in = open((dir / "x.keras").c_str(), O_RDONLY), out = open((dir / "out").c_str(), O_RDWR | O_CREAT, 0600);
  Unpacked u;
  try {
    u.zip = convert::unpack_keras(in, out);
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::weights);
    u.error = e.what();
  }
  close(out);
  u.weights = read_file(dir / "out");
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), std::filesystem::directory_iterator()) == 2);
  return u;
}

void expect_refusal(const std::string& part, const std::string& bytes) {
  CAPTURE(part);
  const std::string got = unpack_zip(bytes).error;
  CAPTURE(got);
  CHECK(got.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("keras zip: stored and deflated members") {
  const std::string weights = kHdf5Start + std::string(3'000'000, 'w') + "end";
  const Unpacked stored = unpack_zip(make_zip({{"metadata.json", kMeta}, {"config.json", kConfig}, {"model.weights.h5", weights}}));
  CHECK(stored.error == "");
  CHECK(stored.weights == weights);
  CHECK(stored.zip.keras_version == "3.9.0");
  CHECK(stored.zip.config == kConfig);
  const ZipMember packed{
      .name = "model.weights.h5", .data = deflated(weights), .claimed_size = uint32_t(weights.size()), .method = 8, .crc = crc_of(weights)};
  const Unpacked d = unpack_zip(make_zip({packed, {"metadata.json", "not JSON"}}));
  CHECK(d.error == "");
  CHECK(d.weights == weights);
  CHECK(d.zip.keras_version == "");
}

TEST_CASE("keras zip: hostile and damaged archives") {
  const std::string weights = kHdf5Start + "rest", zeros(10'000'000, '\0');
  const ZipMember good{"model.weights.h5", weights};
  for (const char* outside : {"../evil", "a/../../evil", "/etc/evil", "..", "a\\..\\evil", "C:evil"})
    expect_refusal("points outside", make_zip({good, {outside, "x"}}));
  expect_refusal("twice", make_zip({good, good}));
  expect_refusal("without model.weights.h5", make_zip({{"other.h5", weights}}));
  expect_refusal("a .keras file that holds no weights", make_zip({{"config.json", kConfig}}));
  expect_refusal("'model.weights.npz' instead", make_zip({{"model.weights.npz", "x"}}));
  expect_refusal("'archive/data.pkl' instead", make_zip({{"archive/data.pkl", "x"}}));
  expect_refusal("is encrypted", make_zip({{.name = "model.weights.h5", .data = weights, .flags = 1}}));
  expect_refusal("compressed by method 12", make_zip({{.name = "model.weights.h5", .data = weights, .method = 12}}));
  expect_refusal("is not an HDF5 file", make_zip({{"model.weights.h5", "hello"}}));
  expect_refusal("is damaged", make_zip({{.name = "model.weights.h5", .data = weights, .crc = 12345}}));
  expect_refusal("is damaged",
                 make_zip({{.name = "model.weights.h5", .data = "no deflate stream at all", .claimed_size = 100, .method = 8, .crc = 1}}));
  expect_refusal("claims 4000000000 bytes",
                 make_zip({{.name = "model.weights.h5", .data = deflated(weights), .claimed_size = 4'000'000'000, .method = 8}}));
  const std::string bomb = deflated(kHdf5Start + zeros);
  const Unpacked b = unpack_zip(make_zip({{.name = "model.weights.h5", .data = bomb, .claimed_size = 100'000, .method = 8, .crc = 7}}));
  CHECK(b.error != "");
  CHECK(b.weights.size() <= 2 << 20);
  expect_refusal("is not an HDF5 file", make_zip({{.name = "model.weights.h5",
                                                   .data = deflated(zeros),
                                                   .claimed_size = uint32_t(zeros.size()),
                                                   .method = 8,
                                                   .crc = crc_of(zeros)}}));
  const std::string whole = make_zip({good});
  for (const size_t cut : {size_t(1), size_t(10), size_t(30), size_t(70), whole.size() - 5}) {
    CAPTURE(cut);
    expect_refusal("", whole.substr(0, whole.size() - cut));
    CHECK(unpack_zip(whole.substr(0, whole.size() - cut)).error != "");
  }
}

TEST_CASE("keras zip: a whole conversion") {
  const TempDir dir;
  const convert::NetLayout& net = convert::find_layout(layouts(), "mobilenet_v2");
  write_weights_h5(dir / "w.h5", net);
  const std::string weights = read_file(dir / "w.h5");
  const std::string zip = make_zip({{"metadata.json", kMeta}, {"config.json", kConfig}, {"model.weights.h5", weights}});
  const auto put = [&](const std::string& bytes) {
    std::ofstream(dir / "m.keras", std::ios::binary | std::ios::trunc).write(bytes.data(), std::streamsize(bytes.size()));
  };
  put(zip);
  convert::ConvertReport r;
  REQUIRE(refusal_of({.file = dir / "m.keras", .out = dir / "out.h5", .classes = {}}, &r) == "");
  CHECK(r.plan.keras_version == "3.9.0");
  CHECK(WeightFileReader(dir / "out.h5").tensors().size() == net.tensors.size());
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), std::filesystem::directory_iterator()) ==
        3);  // no temporary file stays
  std::string damaged = zip;
  damaged[zip.size() / 2] = char(damaged[zip.size() / 2] ^ 1);  // one bit of a weight: only the CRC tells
  put(damaged);
  CHECK(refusal_of(dir / "m.keras", dir / "out2.h5").find("is damaged: CRC error") != std::string::npos);
  std::filesystem::rename(dir / "w.h5", dir / "x.keras");
  CHECK(refusal_of(dir / "x.keras", dir / "out2.h5").find("named .keras, but it is an HDF5 file") != std::string::npos);
  CHECK(!std::filesystem::exists(dir / "out2.h5"));
}
