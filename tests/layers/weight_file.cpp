#include "layers/weight_file.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <numeric>

#include "tests/support/support.hpp"

using namespace ptrain;
namespace fs = std::filesystem;

namespace {

std::vector<float> counted(int64_t n, float first = 0) {
  std::vector<float> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), first);
  return v;
}

std::vector<float> read(const WeightFileReader& file, size_t i) {
  std::vector<float> v(size_t(file.tensors().at(i).shape.size()));
  file.read(file.tensors()[i], v);
  return v;
}

void write_small(const fs::path& path, float first = 0) {
  WeightFileWriter w(path);
  w.weight("a", "kernel", {3, 4}, counted(12, first));
  w.commit();
}

size_t entries(const fs::path& folder) { return size_t(std::distance(fs::directory_iterator(folder), fs::directory_iterator())); }

// The text of the Error{weights} that f throws.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::weights);
    return e.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("model file: what is written is read") {
  const test::TempDir dir;
  const fs::path path = dir / "m.h5";
  const Attributes attributes{{"net", "mobilenet_v2"},
                              {"long", std::string(200'000, 'x')},
                              {"input_size", int64_t(224)},
                              {"threshold", 0.1},
                              {"classes", std::vector<std::string>{"NORMAL", "PNEUMONIA", "Lungenentzündung"}},
                              {"counts", std::vector<int64_t>{1, -2}},
                              {"numbers", std::vector<double>{0.5, 1e300}},
                              {"no_texts", std::vector<std::string>{}},
                              {"format_version", kModelFormatVersion}};
  {
    WeightFileWriter w(path);
    w.attribute("net", "another");
    w.weight("z", "kernel", {2, 3, 1, 2}, counted(12));
    w.weight("a", "bias", {5}, counted(5, 100));
    w.weight("z", "bias", {}, std::vector<float>{7});
    w.begin_weight("b", "kernel", {4, 2});
    w.rows(std::vector<float>{0, 1});
    w.rows(std::vector<float>{2, 3, 4, 5, 6, 7});
    for (const auto& [name, value] : attributes) w.attribute(name, value);
    const std::vector<double> d{1.5, 2.5};
    const std::vector<uint8_t> bytes{1, 2, 255};
    const int32_t step = -7;
    w.state("optimizer/z/kernel/m", DType::float32, {3}, counted(3).data());
    w.state("optimizer/z/kernel/v", DType::float64, {1, 2}, d.data());
    w.state("random", DType::uint8, {3}, bytes.data());
    w.state("step", DType::int32, {}, &step);
    w.state("nothing", DType::float32, {0}, nullptr);
    w.commit();
  }
  const WeightFileReader r(path);
  REQUIRE(r.tensors().size() == 4);
  CHECK(r.tensors()[0].key() == "z/kernel");  // by layer, in the order of creation
  CHECK(r.tensors()[1].key() == "z/bias");
  CHECK(r.tensors()[2].key() == "a/bias");
  CHECK(r.tensors()[0].shape == Shape{2, 3, 1, 2});
  CHECK(read(r, 0) == counted(12));
  CHECK(read(r, 1) == std::vector<float>{7});
  CHECK(read(r, 2) == counted(5, 100));
  CHECK(read(r, 3) == counted(8));
  CHECK(r.attributes().size() == attributes.size());
  for (const auto& [name, value] : attributes) {
    CAPTURE(name);
    CHECK((r.attributes().at(name) == value));
  }
  CHECK(r.text("net") == "mobilenet_v2");
  CHECK(r.texts("classes").size() == 3);
  CHECK(r.integer("input_size") == 224);
  CHECK(contains(error_of([&] { r.number("net"); }), "m.h5: attribute 'net' is not a number"));
  CHECK(contains(error_of([&] { r.text("data"); }), "no attribute 'data'"));

  CHECK(r.state_names() == std::vector<std::string>{"optimizer/z/kernel/m", "optimizer/z/kernel/v", "random", "step", "nothing"});
  CHECK(r.state("optimizer/z/kernel/v").dtype == DType::float64);
  CHECK(r.state("optimizer/z/kernel/v").shape == Shape{1, 2});
  CHECK(reinterpret_cast<const double*>(r.state("optimizer/z/kernel/v").bytes.data())[1] == 2.5);
  CHECK(r.state("random").bytes == std::vector<char>{1, 2, char(255)});
  CHECK(*reinterpret_cast<const int32_t*>(r.state("step").bytes.data()) == -7);
  CHECK(contains(error_of([&] { r.state("other"); }), "there is no 'other'"));
  CHECK(contains(error_of([&] { r.state("random/x"); }), "there is no /state/random/x"));
}

TEST_CASE("model file: the same content gives the same bytes") {
  const test::TempDir dir;
  write_small(dir / "a.h5"), write_small(dir / "b.h5");
  CHECK(test::read_file(dir / "a.h5") == test::read_file(dir / "b.h5"));
}

TEST_CASE("model file: all or nothing") {
  const test::TempDir dir;
  const fs::path path = dir / "m.h5";
  write_small(path);
  const std::string before = test::read_file(path);
  {
    WeightFileWriter w(path);  // never committed
    w.weight("a", "kernel", {3, 4}, counted(12, 50));
    CHECK(entries(dir.path()) == 2);
  }
  CHECK(entries(dir.path()) == 1);
  CHECK(test::read_file(path) == before);
  {
    WeightFileWriter w(path);
    w.begin_weight("a", "kernel", {3, 4});
    w.rows(counted(8));
    CHECK_THROWS_AS(w.rows(counted(8)), Error);
    CHECK_THROWS_AS(w.commit(), Error);  // a row is missing
  }
  CHECK(test::read_file(path) == before);
  write_small(path, 9);
  CHECK(read(WeightFileReader(path), 0) == counted(12, 9));
  CHECK(entries(dir.path()) == 1);
}

TEST_CASE("model file: a full disk") {
  const test::TempDir dir;
  const fs::path path = dir / "m.h5";
  write_small(path);
  const std::string before = test::read_file(path);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t room : {rlim_t(0), rlim_t(100), rlim_t(3000), rlim_t(40'000), rlim_t(999'999), rlim_t(1'001'000)}) {
    CAPTURE(room);
    const rlimit small{room, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string error = error_of([&] {
      WeightFileWriter w(path);
      for (int i = 0; i < 10; ++i) w.weight("layer" + std::to_string(i), "kernel", {25'000}, counted(25'000));
      w.attribute("long", std::string(10'000, 'x'));
      w.commit();
    });
    const std::string laid_out = error_of([&] {
      WeightFileWriter w(path);
      w.reserve_weight("layer", "kernel", {250'000});
      w.lay_out();
      w.weight("layer", "kernel", {250'000}, counted(250'000));
      w.commit();
    });
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(contains(error, "saving " + path.string()));
    CHECK(contains(error, "File too large"));
    if (room < 1'000'000) CHECK(contains(laid_out, "saving " + path.string() + ": File too large"));
    CHECK(entries(dir.path()) == 1);
    CHECK(test::read_file(path) == before);
  }
  write_small(path, 3);  // the library is still in order
  CHECK(read(WeightFileReader(path), 0) == counted(12, 3));
}

TEST_CASE("model file: laid out first, it becomes final from its beginning to its end") {
  const test::TempDir dir;
  const fs::path path = dir / "m.h5";
  WeightFileWriter w(path);
  w.attribute("net", "vgg16");
  const std::vector<int64_t> rows{3, 5, 700, 0, 4};
  for (size_t i = 0; i < rows.size(); ++i) w.reserve_weight("layer_" + std::to_string(i), "kernel", {rows[i], 4});
  w.reserve_weight("scalar", "bias", {});
  w.reserve_text("digest", 5);
  w.lay_out();
  CHECK_THROWS_AS(w.begin_weight("another", "kernel", {3, 4}), Error);  // no room was reserved
  CHECK_THROWS_AS(w.begin_weight("layer_0", "kernel", {3, 5}), Error);  // or other room
  std::string seen;                                                     // what a reader has behind the writer
  const auto follow = [&] {
    CHECK(w.final_bytes() >= seen.size());
    std::string more(w.final_bytes() - seen.size(), '\0');
    REQUIRE(pread(w.fd(), more.data(), more.size(), off_t(seen.size())) == ssize_t(more.size()));
    seen += more;
  };
  follow();
  const size_t head = seen.size();
  CHECK(head > 0);
  w.begin_weight("layer_2", "kernel", {700, 4});  // not in the order of the file
  w.rows(counted(400 * 4, 50));
  w.rows(counted(300 * 4, 1650));
  follow();
  CHECK(seen.size() == head);
  for (const size_t i : {0, 1, 3, 4}) {
    w.begin_weight("layer_" + std::to_string(i), "kernel", {rows[i], 4});
    w.rows(counted(rows[i] * 4, float(i)));
    follow();
  }
  CHECK(seen.size() > head + 712 * 4 * sizeof(float));
  w.weight("scalar", "bias", {}, std::vector<float>{7});
  CHECK_THROWS_AS(w.commit(), Error);  // the text is missing
  CHECK_THROWS_AS(w.text("digest", "1234"), Error);
  w.text("digest", "12345");
  follow();
  w.commit();
  CHECK(seen == test::read_file(path));

  const WeightFileReader file(path);
  CHECK(file.text("net") == "vgg16");
  REQUIRE(file.tensors().size() == 6);
  CHECK(read(file, 2) == counted(2800, 50));
  for (const size_t i : {0, 1, 3, 4}) CHECK(read(file, i) == counted(rows[i] * 4, float(i)));
  CHECK(read(file, 5) == std::vector<float>{7});
}

TEST_CASE("model file: places that cannot be written") {
  const test::TempDir dir;
  CHECK(contains(error_of([&] { WeightFileWriter w(dir / "no" / "m.h5"); }), "No such file or directory"));
  CHECK(contains(error_of([&] { WeightFileWriter w(dir.path()); }), "that is a folder"));
  CHECK(contains(error_of([&] { WeightFileWriter w("/proc/m.h5"); }), "saving /proc/m.h5"));
}

TEST_CASE("model file: things that are no model file") {
  const test::TempDir dir;
  CHECK(contains(error_of([&] { WeightFileReader r(dir / "none.h5"); }), "none.h5: No such file"));
  CHECK(contains(error_of([&] { WeightFileReader r(dir.path()); }), "not a regular file"));
  CHECK(contains(error_of([&] { WeightFileReader r("/dev/zero"); }), "not a regular file"));
  std::ofstream(dir / "text.h5") << "hello";
  std::ofstream(dir / "empty.h5") << "";
  CHECK(contains(error_of([&] { WeightFileReader r(dir / "text.h5"); }), "not an HDF5 file"));
  CHECK(contains(error_of([&] { WeightFileReader r(dir / "empty.h5"); }), "not an HDF5 file"));
  write_small(dir / "m.h5");
  fs::resize_file(dir / "m.h5", fs::file_size(dir / "m.h5") - 10);
  CHECK(contains(error_of([&] { WeightFileReader r(dir / "m.h5"); }), "truncated file"));
}
