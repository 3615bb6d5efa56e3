#include "data/split.hpp"

#include <algorithm>
#include <set>

#include "kernels/philox.hpp"
#include "tests/data/expect_error.hpp"
#include "tests/data/make_images.hpp"

namespace ptrain::test {
namespace {

// Classes A, B, …; patient names are given as "A3", and each has one to five images.
Manifest random_manifest(int64_t classes, int64_t patients, uint64_t seed, Part part = Part::all) {
  Manifest m;
  m.root = "folder";
  for (int64_t c = 0; c < classes; ++c) m.classes.push_back(std::string(1, char('A' + c)));
  for (int64_t c = 0; c < classes; ++c)
    for (int64_t p = 0; p < patients; ++p)
      for (uint32_t i = 0; i <= philox(seed, {{uint32_t(Purpose::test) << 24, uint32_t(c), uint32_t(p), 0}}).v[0] % 5; ++i) {
        const std::string patient = m.classes[size_t(c)] + std::to_string(p);
        m.entries.push_back({m.classes[size_t(c)] + "/" + patient + "_" + std::to_string(i) + ".png", int32_t(c), patient, part});
      }
  return m;
}

std::set<std::string> patients_in(const Manifest& m, const Split& s, Part part) {
  std::set<std::string> names;
  for (int64_t i : s.of(part)) names.insert(m.entries[size_t(i)].patient);
  return names;
}

bool disjoint(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::none_of(a.begin(), a.end(), [&](const std::string& name) { return b.contains(name); });
}

bool has_note(const Split& s, const std::string& text) {
  return std::any_of(s.notes.begin(), s.notes.end(), [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("a split keeps patients together and takes its fraction of every class") {
  for (const uint64_t seed : {0, 1, 2, 3})
    for (const double fraction : {0.1, 0.15, 0.5}) {
      const Manifest m = random_manifest(3, 200, seed);
      const Split s = split_by_patient(m, {.val_fraction = fraction, .seed = seed});
      CHECK(disjoint(patients_in(m, s, Part::train), patients_in(m, s, Part::val)));
      CHECK(s.of(Part::train).size() + s.of(Part::val).size() == m.entries.size());
      const std::vector<int64_t> val = m.class_counts(s.of(Part::val));
      std::vector<int64_t> all(m.entries.size());
      for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
      const std::vector<int64_t> total = m.class_counts(all);
      for (size_t c = 0; c < 3; ++c) CHECK(std::fabs(double(val[c]) - fraction * double(total[c])) <= 2.5);  // half of the largest patient
    }
}

TEST_CASE("a split depends on the seed and the names and not on what else is there") {
  const Manifest m = random_manifest(2, 100, 1);
  CHECK(split_by_patient(m, {.seed = 4}).parts == split_by_patient(m, {.seed = 4}).parts);
  CHECK(split_by_patient(m, {.seed = 4}).parts != split_by_patient(m, {.seed = 5}).parts);
  Manifest reversed = m;
  std::reverse(reversed.entries.begin(), reversed.entries.end());
  CHECK(patients_in(m, split_by_patient(m, {}), Part::val) == patients_in(reversed, split_by_patient(reversed, {}), Part::val));
  Manifest more = m;  // one patient more moves at most the border, not the others
  more.entries.push_back({"A/new.png", 0, "new", Part::all});
  const std::set<std::string> before = patients_in(m, split_by_patient(m, {}), Part::val), after = patients_in(more, split_by_patient(more, {}), Part::val);
  std::vector<std::string> changed;
  std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(changed));
  CHECK(changed.size() <= 2);
}

TEST_CASE("a patient with images of two classes stays in one part") {
  Manifest m = random_manifest(2, 30, 7);
  for (Entry& e : m.entries)
    if (e.patient == "B1" || e.patient == "B2" || e.patient == "B3") e.patient[0] = 'A';
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Split s = split_by_patient(m, {.val_fraction = 0.3, .seed = seed});
    CHECK(disjoint(patients_in(m, s, Part::train), patients_in(m, s, Part::val)));
  }
}

TEST_CASE("a small val folder is pooled and a large one is used and test is never touched") {
  Manifest m = random_manifest(2, 60, 3, Part::train);
  const size_t training = m.entries.size();
  for (int i = 0; i < 16; ++i) m.entries.push_back({"val/x" + std::to_string(i), i % 2, "v" + std::to_string(i), Part::val});
  for (int i = 0; i < 50; ++i) m.entries.push_back({"test/x" + std::to_string(i), i % 2, "t" + std::to_string(i), Part::test});
  const Split pooled = split_by_patient(m, {});
  CHECK(has_note(pooled, "val/ has 16 images, fewer than 100, and is pooled"));
  CHECK(pooled.of(Part::test) == m.of(Part::test));
  CHECK(pooled.of(Part::train).size() + pooled.of(Part::val).size() == training + 16);
  const std::set<std::string> in_training = patients_in(m, pooled, Part::train);
  CHECK(std::any_of(in_training.begin(), in_training.end(), [](const std::string& name) { return name[0] == 'v'; }));
  CHECK(pooled.test_patients_in_training.empty());

  const Split given = split_by_patient(m, {.pool_below = 16});
  CHECK(given.of(Part::val) == m.of(Part::val));
  CHECK(given.of(Part::train) == m.of(Part::train));
  CHECK(has_note(given, "the 16 images of val/"));
}

TEST_CASE("patients of a given val folder leave the training part and shared test patients are reported") {
  Manifest m = random_manifest(2, 60, 3, Part::train);
  for (int i = 0; i < 120; ++i) m.entries.push_back({"val/x" + std::to_string(i), i % 2, i < 2 ? "A1" : "v" + std::to_string(i), Part::val});
  m.entries.push_back({"test/a.png", 0, "A2", Part::test});
  m.entries.push_back({"test/b.png", 1, "v7", Part::test});
  m.entries.push_back({"test/c.png", 1, "new", Part::test});
  const Split s = split_by_patient(m, {});
  CHECK(disjoint(patients_in(m, s, Part::train), patients_in(m, s, Part::val)));
  CHECK(patients_in(m, s, Part::unused) == std::set<std::string>{"A1"});
  CHECK(has_note(s, "training images are of patients that val/ has as well"));
  CHECK(s.test_patients_in_training == std::vector<std::string>{"A2", "v7"});
}

TEST_CASE("fractions of the training part are nested and stratified and grouped") {
  const Manifest m = random_manifest(2, 200, 9);
  const Split whole = split_by_patient(m, {.seed = 1});
  CHECK(take_fraction(m, whole, 1, 1).parts == whole.parts);
  const std::vector<int64_t> all = m.class_counts(whole.of(Part::train));
  std::vector<int64_t> larger = whole.of(Part::train);
  for (const double fraction : {0.9, 0.5, 0.25, 0.1, 0.01, 0.0001}) {
    const Split s = take_fraction(m, whole, fraction, 1);
    CHECK(s.of(Part::val) == whole.of(Part::val));
    const std::vector<int64_t> some = s.of(Part::train);
    CHECK(std::includes(larger.begin(), larger.end(), some.begin(), some.end()));
    CHECK(disjoint(patients_in(m, s, Part::train), patients_in(m, s, Part::unused)));
    const std::vector<int64_t> counts = m.class_counts(some);
    for (size_t c = 0; c < 2; ++c) {
      CHECK(counts[c] >= 1);
      if (fraction >= 0.01) CHECK(std::fabs(double(counts[c]) - fraction * double(all[c])) <= 3);
    }
    larger = some;
  }
  CHECK(take_fraction(m, whole, 0.5, 1).parts != take_fraction(m, whole, 0.5, 2).parts);
  for (const double bad : {0.0, -1.0, 1.5, std::nan("")})
    expect_error(ErrorKind::usage, {"--fraction"}, [&] { take_fraction(m, whole, bad, 1); });
}

TEST_CASE("splits that cannot be made say why") {
  for (const double bad : {0.0, 1.0, -0.1, std::nan("")})
    expect_error(ErrorKind::usage, {"--val-fraction"}, [&] { split_by_patient(random_manifest(2, 9, 1), {.val_fraction = bad}); });
  Manifest one = random_manifest(1, 9, 1);
  one.classes.push_back("B");
  one.entries.push_back({"B/1.png", 1, "b", Part::all});
  expect_error(ErrorKind::data, {"class B has 1 image of 1 patient", "at least two patients", "--group-regex"}, [&] { split_by_patient(one); });
  one.entries.push_back({"B/2.png", 1, "b", Part::all});
  expect_error(ErrorKind::data, {"class B has 2 images of 1 patient"}, [&] { split_by_patient(one); });
  Manifest test_only = random_manifest(2, 9, 1, Part::test);
  expect_error(ErrorKind::data, {"no training images"}, [&] { split_by_patient(test_only); });
  Manifest lopsided = random_manifest(2, 60, 1, Part::train);
  for (int i = 0; i < 120; ++i) lopsided.entries.push_back({"val/" + std::to_string(i), 0, "v" + std::to_string(i), Part::val});
  expect_error(ErrorKind::data, {"class B has no image in the part val"}, [&] { split_by_patient(lopsided); });
}

TEST_CASE("unreadable images are left out unless a class goes with them") {
  const Manifest m = random_manifest(2, 20, 1);
  Split s = split_by_patient(m);
  const std::vector<int64_t> bad = {s.of(Part::train)[0], s.of(Part::val)[0]};
  leave_out(m, s, bad);
  CHECK(s.of(Part::unused) == std::vector<int64_t>{std::min(bad[0], bad[1]), std::max(bad[0], bad[1])});
  expect_error(ErrorKind::data, {"no image in the part val"}, [&] { leave_out(m, s, s.of(Part::val)); });
}

TEST_CASE("split.csv comes back as it was and is checked against the folder") {
  const TempDir dir;
  Manifest m = random_manifest(2, 20, 2, Part::train);
  m.classes = {"A, with \"quotes\"", "B"};
  m.entries[3].path = "train/A, with \"quotes\"/a\nb.png";
  m.entries.push_back({"test/B/t.png", 1, "t", Part::test});
  const Split s = take_fraction(m, split_by_patient(m, {}), 0.5, 0);
  write_split(dir / "split.csv", m, s);
  const std::string text = read_file(dir / "split.csv");
  CHECK(text.starts_with("file,label,patient,part\n"));
  CHECK(text.find("\"train/A, with \"\"quotes\"\"/a\nb.png\",\"A, with \"\"quotes\"\"\",") != std::string::npos);
  const Split again = read_split(dir / "split.csv", m);
  CHECK(again.parts == s.parts);

  const auto edited = [&](const std::string& from, const std::string& to) {
    std::string copy = text;
    REQUIRE(copy.find(from) != std::string::npos);
    copy.replace(copy.find(from), from.size(), to);
    write_text(dir / "edited.csv", copy);
    return dir / "edited.csv";
  };
  const auto bad = [&](ErrorKind kind, std::vector<std::string> parts, const std::string& from, const std::string& to) {
    parts.push_back("edited.csv");
    Manifest copy = m;
    const auto path = edited(from, to);
    expect_error(kind, parts, [&] { read_split(path, copy); });
  };
  bad(ErrorKind::data, {"1 of its files are not in folder", "B/other.png"}, "test/B/t.png", "B/other.png");
  bad(ErrorKind::leak, {"1 images of the test part", "test/B/t.png"}, "t.png,B,t,test", "t.png,B,t,train");
  bad(ErrorKind::data, {"test/B/t.png has the label C", "it is B"}, "t.png,B,t", "t.png,C,t");
  bad(ErrorKind::data, {"the part 'tset'"}, "t.png,B,t,test", "t.png,B,t,tset");
  bad(ErrorKind::data, {"no column 'part'"}, "label,patient,part", "label,patient,piece");
  bad(ErrorKind::data, {"test/B/t.png is in it twice"}, "test/B/t.png,B,t,test\n", "test/B/t.png,B,t,test\ntest/B/t.png,B,t,test\n");
  const std::string first = text.substr(text.find('\n') + 1, text.find('\n', text.find('\n') + 1) - text.find('\n'));
  bad(ErrorKind::data, {"1 images of folder are not in it"}, first, "");
  const auto entry_in = [&](Part part) { return m.entries[size_t(s.of(part)[0])]; };
  bad(ErrorKind::data, {"1 patients are in training and in validation", entry_in(Part::val).patient}, "," + entry_in(Part::train).patient + ",train",
      "," + entry_in(Part::val).patient + ",train");
  // A line for a test image may be missing; the table's patients are taken.
  Manifest copy = m;
  const auto path = edited("test/B/t.png,B,t,test\n", "");
  CHECK(read_split(path, copy).of(Part::test).size() == 1);
  CHECK_NOTHROW(read_split(edited("t.png,B,t,test", "t.png,B,someone,test"), copy));
  CHECK(copy.entries.back().patient == "someone");
}

}  // namespace ptrain::test
