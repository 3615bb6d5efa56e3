#include "data/manifest.hpp"

#include "tests/data/expect_error.hpp"
#include "tests/data/make_images.hpp"

namespace ptrain::test {
namespace fs = std::filesystem;
namespace {

void touch(const fs::path& root, const std::vector<std::string>& files) {
  for (const std::string& file : files) write_text(root / file, "x");
}

std::vector<std::string> paths(const Manifest& m) {
  std::vector<std::string> list;
  for (const Entry& e : m.entries) list.push_back(e.path);
  return list;
}

}  // namespace

TEST_CASE("a folder with parts is read by parts and others are ignored") {
  const TempDir dir;
  touch(dir.path(), {"train/B/2.png", "train/B/1.png", "train/A/person3_virus_1.jpeg", "val/A/v.png", "test/B/t.png", "val/B/w.png",
                     "test/A/u.png", "__MACOSX/x.png", "train/.DS_Store", "readme.txt"});
  const Manifest m = read_folder(dir.path());
  CHECK(m.classes == std::vector<std::string>{"A", "B"});
  CHECK(paths(m) == std::vector<std::string>{"train/A/person3_virus_1.jpeg", "train/B/1.png", "train/B/2.png", "val/A/v.png", "val/B/w.png",
                                             "test/A/u.png", "test/B/t.png"});
  CHECK(m.entries[0].patient == "person3_virus");
  CHECK(m.entries[1].patient == "1");
  CHECK(m.entries[2].label == 1);
  CHECK(m.entries[3].part == Part::val);
  CHECK(m.of(Part::train) == std::vector<int64_t>{0, 1, 2});
  CHECK(m.of(Part::test) == std::vector<int64_t>{5, 6});
  CHECK(m.of(Part::all).empty());
  CHECK(m.class_counts(m.of(Part::train)) == std::vector<int64_t>{1, 2});
  CHECK(m.file(1) == dir / "train/B/1.png");
  CHECK(m.notes.empty());
}

TEST_CASE("a folder without parts is one part and any number of classes will do") {
  const TempDir dir;
  touch(dir.path(), {"c/1.png", "a/1.png", "b/1.png", "b/deep/er/2.PNG", "a/notes.txt", "a/pic.webp"});
  const Manifest m = read_folder(dir.path());
  CHECK(m.classes == std::vector<std::string>{"a", "b", "c"});
  CHECK(paths(m) == std::vector<std::string>{"a/1.png", "b/1.png", "b/deep/er/2.PNG", "c/1.png"});
  CHECK(m.of(Part::all).size() == 4);
  REQUIRE(m.notes.size() == 1);
  CHECK(m.notes[0].find("2 files are not") == 0);
  CHECK(m.notes[0].find("a/pic.webp") != std::string::npos);
}

TEST_CASE("folders below a class are in the order of their paths") {
  const TempDir dir;
  touch(dir.path(), {"A/x/y/4.png", "A/x/9.png", "A/x-1/3.png", "A/z.png", "B/1.png"});
  CHECK(paths(read_folder(dir.path())) == std::vector<std::string>{"A/z.png", "A/x/9.png", "A/x-1/3.png", "A/x/y/4.png", "B/1.png"});
}

TEST_CASE("a test folder alone is a manifest") {
  const TempDir dir;
  touch(dir.path(), {"test/A/1.png", "test/B/2.png"});
  CHECK(read_folder(dir.path()).of(Part::test).size() == 2);
}

TEST_CASE("links to files and to class folders are followed and links below are not") {
  const TempDir dir, elsewhere;
  touch(elsewhere.path(), {"1.png", "sub/2.png"});
  touch(dir.path(), {"A/0.png"});
  fs::create_directory_symlink(elsewhere.path(), dir / "B");
  fs::create_symlink(elsewhere / "1.png", dir / "A/9.png");
  fs::create_directory_symlink(dir.path(), dir / "A/loop");
  CHECK(paths(read_folder(dir.path())) == std::vector<std::string>{"A/0.png", "A/9.png", "B/1.png", "B/sub/2.png"});
}

TEST_CASE("folders that cannot be used say what is wrong and what to do") {
  const TempDir dir;
  const auto bad = [&](const char* folder, std::vector<std::string> parts) {
    parts.push_back(folder);
    expect_error(ErrorKind::data, parts, [&] { read_folder(dir / folder); });
  };
  bad("missing", {"no such folder", "check the path"});
  touch(dir.path(), {"file", "empty/readme.txt", "loose/1.png", "loose/2.png", "one/A/1.png", "hollow/A/1.png", "hollow/B/readme.txt",
                     "up/data/train/A/1.png", "differ/train/A/1.png", "differ/train/B/1.png", "differ/test/A/1.png", "differ/test/C/1.png",
                     "blank/train/x.txt"});
  fs::create_directory(dir / "differ/val");
  bad("file", {"this is a file"});
  bad("empty", {"there are no images", ".jpeg"});
  bad("loose", {"2 images and no class folders", "one folder for each class"});
  bad("one", {"1 class folder (A)", "at least two"});
  bad("up", {"1 class folder (data)", "did you mean", "up/data?"});
  bad("hollow", {"class folder B holds no images"});
  bad("differ", {"different classes", "A, B", "A, C"});
  bad("blank", {"there are no images"});
}

TEST_CASE("an empty val folder counts as absent and an empty class of the test part is noted") {
  const TempDir dir;
  touch(dir.path(), {"train/A/1.png", "train/B/1.png", "test/A/1.png"});
  fs::create_directories(dir / "val/A");
  fs::create_directories(dir / "test/B");
  const Manifest m = read_folder(dir.path());
  CHECK(m.of(Part::val).empty());
  REQUIRE(m.notes.size() == 2);
  CHECK(m.notes[0] == "val/ holds no images and counts as absent");
  CHECK(m.notes[1] == "test/B holds no images");
}

TEST_CASE("parts have names") {
  for (Part part : {Part::all, Part::train, Part::val, Part::test, Part::unused}) CHECK(parse_part(str(part)) == part);
  expect_error(ErrorKind::usage, {"'tset'", "train, val, test"}, [] { parse_part("tset"); });
}

}  // namespace ptrain::test
