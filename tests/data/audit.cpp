#include "data/audit.hpp"

#include <algorithm>

#include "data/file.hpp"
#include "data/resize.hpp"
#include "tests/data/make_images.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {
namespace {

Image brighter(Image image, double factor, double offset) {
  for (uint8_t& v : image.pixels) v = uint8_t(std::clamp(factor * v + offset, 0.0, 255.0));
  return image;
}

Image twice(const Image& a) {
  Image b{.h = 2 * a.h, .w = 2 * a.w, .c = a.c, .pixels = {}};
  for (int64_t y = 0; y < b.h; ++y)
    for (int64_t x = 0; x < b.w; ++x)
      for (int64_t c = 0; c < b.c; ++c) b.pixels.push_back(a.pixels[size_t((y / 2 * a.w + x / 2) * a.c + c)]);
  return b;
}

// Smooth waves that depend on the seed, as different films do.
Image waves(int64_t h, int64_t w, int seed) {
  Image m{.h = h, .w = w, .c = 1, .pixels = {}};
  for (int64_t y = 0; y < h; ++y)
    for (int64_t x = 0; x < w; ++x) {
      double v = 0;
      for (int k = 1; k <= 6; ++k)
        v += std::sin(double(k * seed) + 9.0 * double(k) * double(x) / double(w) +
                      std::cos(double(seed + k)) * 20.0 * double(y) / double(h));
      m.pixels.push_back(uint8_t(std::clamp(128 + 25 * v, 20.0, 235.0)));
    }
  return m;
}

int bits(const Image& a, const Image& b) { return int((fingerprint(a) ^ fingerprint(b)).count()); }

}  // namespace

TEST_CASE("a fingerprint survives scaling, brightness and compression and tells pictures apart") {
  const Image film = waves(160, 204, 1);
  CHECK(bits(film, film) == 0);
  CHECK(bits(film, twice(film)) <= 6);
  CHECK(bits(film, brighter(film, 0.8, 20)) <= 6);
  CHECK(bits(film, decode_image(jpeg(film, {.stored = "grey", .quality = 60}), "film.jpeg")) <= 10);
  for (int seed = 2; seed < 12; ++seed) CHECK(bits(film, waves(160, 204, seed)) > 40);
}

TEST_CASE("a fingerprint's bits are the signs of differences of block means") {
  Image m{.h = 16, .w = 17, .c = 1, .pixels = std::vector<uint8_t>(16 * 17, 100)};
  m.pixels[3 * 17 + 5] = 200;  // row 3, block 5: brighter than block 4, block 6 is darker
  const std::bitset<256> f = fingerprint(m);
  CHECK(f.count() == 1);
  CHECK(f[3 * 16 + 4]);
}

TEST_CASE("an audit tells bad, mislabelled and duplicate files") {
  const TempDir temp;
  const Image a = waves(64, 64, 1), b = waves(64, 64, 2), c = waves(80, 64, 3);
  write_bytes(temp / "train/A/a.png", png(a));
  write_bytes(temp / "train/A/copy.png", png(a));
  write_bytes(temp / "train/A/again.jpeg", jpeg(a, {.stored = "grey", .quality = 80}));
  write_bytes(temp / "train/A/wrong.png", jpeg(c, {.stored = "grey"}));
  write_bytes(temp / "train/B/b.png", png(b));
  Bytes cut = png(b);
  cut.resize(cut.size() / 2);
  write_bytes(temp / "train/B/cut.png", cut);
  write_bytes(temp / "test/A/person1_virus_1.png", png(waves(64, 64, 4)));
  write_bytes(temp / "train/A/person1_virus_2.png", png(waves(64, 64, 5)));
  write_bytes(temp / "test/B/b.png", png(b));
  const Manifest m = read_folder(temp.path());
  const std::vector<FileAudit> audits = audit_files(m, 2);
  const auto of = [&](const std::string& path) {
    for (const FileAudit& f : audits)
      if (m.entries[size_t(f.index)].path == path) return f;
    return FileAudit{};
  };
  CHECK(of("train/A/a.png").why_bad == "");
  CHECK(of("train/B/cut.png").why_bad.find("cut.png") != std::string::npos);
  CHECK(of("train/A/wrong.png").mislabelled);
  CHECK_FALSE(of("train/A/again.jpeg").mislabelled);
  CHECK(of("train/A/wrong.png").type == "JPEG");
  CHECK(of("train/A/wrong.png").height == 80);
  CHECK(of("train/A/wrong.png").features[2] == 0.8);

  const auto name = [&](int64_t i) { return m.entries[size_t(i)].path; };
  const std::vector<Duplicate> exact = exact_duplicates(audits);
  REQUIRE(exact.size() == 2);
  CHECK(name(exact[0].a) + " " + name(exact[0].b) == "train/A/a.png train/A/copy.png");
  CHECK(name(exact[1].a) + " " + name(exact[1].b) == "train/B/b.png test/B/b.png");
  const std::vector<Duplicate> near = near_duplicates(audits, 10, 2);
  REQUIRE(near.size() == 2);  // the JPEG of a with both of its copies
  for (const Duplicate& d : near) CHECK((name(d.a) == "train/A/again.jpeg" || name(d.b) == "train/A/again.jpeg"));
  const std::vector<SharedPatient> shared = patients_across(m);
  REQUIRE(shared.size() == 2);  // person1_virus, and the file name b
  CHECK(shared[1].patient == "person1_virus");
  CHECK(shared[1].parts == std::vector<Part>{Part::train, Part::test});
}

TEST_CASE("brightness, border and dark share of a picture") {
  const TempDir temp;
  Image m{.h = 100, .w = 100, .c = 1, .pixels = std::vector<uint8_t>(10000, 0)};
  for (int64_t y = 5; y < 95; ++y)
    for (int64_t x = 5; x < 95; ++x) m.pixels[size_t(y * 100 + x)] = 200;
  write_bytes(temp / "A/a.png", png(m));
  write_bytes(temp / "B/b.png", png(waves(50, 50, 1)));
  const std::vector<FileAudit> audits = audit_files(read_folder(temp.path()), 1);
  const std::array<double, 8> f = audits[0].features;
  CHECK(close(f[4], 162, 1e-9, 0));  // 0.81 · 200
  CHECK(close(f[5], std::sqrt(0.81 * 0.19) * 200, 1e-9, 0));
  CHECK(f[6] == 0);
  CHECK(close(f[7], 0.19, 1e-12, 0));
}

}  // namespace ptrain::test
