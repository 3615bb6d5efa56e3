// Small parts: tables, hashes, patients, shuffling, .npy files.
#include <algorithm>
#include <set>

#include "data/csv.hpp"
#include "data/data_hash.hpp"
#include "data/npy.hpp"
#include "data/parallel.hpp"
#include "data/patient.hpp"
#include "data/sha256.hpp"
#include "data/shuffle.hpp"
#include "tests/data/expect_error.hpp"
#include "tests/data/make_images.hpp"

namespace ptrain::test {
namespace fs = std::filesystem;

TEST_CASE("SHA-256 of the examples of its standard at every way of cutting") {
  const auto hash = [](std::string_view text) { return sha256_hex({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); };
  CHECK(hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hash(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  for (size_t length = 0; length < 200; ++length) {
    const std::string text(length, 'x');
    for (size_t cut = 0; cut <= length; cut += 7) {
      Sha256 parts;
      parts.update(std::string_view(text).substr(0, cut));
      parts.update(std::string_view(text).substr(cut));
      CHECK(parts.hex() == hash(text));
    }
  }
}

TEST_CASE("CSV fields survive the way out and back") {
  const std::vector<CsvRow> rows = {{"file", "label"}, {"a,b", "c\"d"}, {"line\nbreak", "\r\n"}, {"", " spaces "}, {"plain", "\"\""}};
  std::string text;
  for (const CsvRow& row : rows) text += csv_line(row);
  CHECK(parse_csv(text, "t.csv") == rows);
  CHECK(csv_line({"a,b", "c\"d", "e"}) == "\"a,b\",\"c\"\"d\",e\n");
  CHECK(parse_csv("\xef\xbb\xbf"
                  "a,b\r\n1,2\r\n",
                  "t.csv") == std::vector<CsvRow>{{"a", "b"}, {"1", "2"}});
  CHECK(parse_csv("a,b\n1,", "t.csv") == std::vector<CsvRow>{{"a", "b"}, {"1", ""}});
  CHECK(parse_csv("", "t.csv").empty());
}

TEST_CASE("CSV that is wrong names the line") {
  expect_error(ErrorKind::data, {"t.csv", "line 3", "1 fields", "2"}, [] { parse_csv("a,b\n1,2\n3\n", "t.csv"); });
  expect_error(ErrorKind::data, {"line 2", "does not end"}, [] { parse_csv("a\n\"b\n", "t.csv"); });
  expect_error(ErrorKind::data, {"line 2", "closing quote"}, [] { parse_csv("a\n\"b\"c\n", "t.csv"); });
  expect_error(ErrorKind::data, {"line 1", "not quoted"}, [] { parse_csv("a\"b\n", "t.csv"); });
  expect_error(ErrorKind::data, {"no column 'patient'", "file,label"}, [] { csv_column({"file", "label"}, "patient", "t.csv"); });
}

TEST_CASE("patients of the chest X-ray names") {
  const std::vector<std::pair<std::string, std::string>> cases = {{"person1_bacteria_1.jpeg", "person1_bacteria"},
                                                                  {"person1_virus_6.jpeg", "person1_virus"},
                                                                  {"person1000_bacteria_2931.jpeg", "person1000_bacteria"},
                                                                  {"person1_virus_6_1.jpeg", "person1_virus"},
                                                                  {"IM-0115-0001.jpeg", "IM-0115"},
                                                                  {"NORMAL2-IM-0115-0001.jpeg", "NORMAL2-IM-0115"},
                                                                  {"IM-0429-0001-0002.jpeg", "IM-0429"},
                                                                  {"NORMAL2-IM-1427-0001.jpeg", "NORMAL2-IM-1427"}};
  for (const auto& [name, patient] : cases) {
    CHECK(patient_of_name(name) == patient);
    CHECK(names_a_patient(name));
  }
  for (const char* name :
       {"cat.1.png", "person_bacteria_1.png", "person1_fungus_1.png", "person1_bacterial.png", "IM-x.png", "NORMAL2.png", "xIM-1-2.png"}) {
    CHECK(patient_of_name(name) == fs::path(name).stem().string());
    CHECK_FALSE(names_a_patient(name));
  }
}

TEST_CASE("patients by an expression") {
  const std::vector<std::string> files = {"train/A/p12-x.png", "train/B/p3-y.png"};
  CHECK(patients_of(files, {.regex = "p[0-9]+"}) == std::vector<std::string>{"p12", "p3"});
  CHECK(patients_of(files, {.regex = "^p([0-9]+)-"}) == std::vector<std::string>{"12", "3"});
  CHECK(patients_of(std::vector<std::string>{"train/A/id7/1.png"}, {.regex = "id([0-9]+)"}) ==
        std::vector<std::string>{"7"});  // in the path
  expect_error(ErrorKind::usage, {"--group-regex", "p[0-9", "regular expression"}, [&] { patients_of(files, {.regex = "p[0-9"}); });
  expect_error(ErrorKind::data, {"1 of 2 files do not match", "train/B/p3-y.png"}, [&] { patients_of(files, {.regex = "p12"}); });
  expect_error(ErrorKind::data, {"2 of 2 files"}, [&] { patients_of(files, {.regex = "q*"}); });  // matches nothing everywhere
  expect_error(ErrorKind::usage, {"--group-csv"}, [&] { patients_of(files, {.regex = "p", .csv = "t.csv"}); });
}

TEST_CASE("patients by a table") {
  const TempDir dir;
  const std::vector<std::string> files = {"train/A/x.png", "train/B/x.png", "train/B/y.png"};
  write_text(dir / "t.csv", "age,patient,file\n3,kim,train/A/x.png\n4,lee,train/B/x.png\n5,kim,y.png\n6,ann,other.png\n");
  CHECK(patients_of(files, {.csv = dir / "t.csv"}) == std::vector<std::string>{"kim", "lee", "kim"});
  write_text(dir / "short.csv", "file,patient\nx.png,kim\ny.png,lee\n");  // x.png is two files
  expect_error(ErrorKind::data, {"2 of 3 files are not in", "train/A/x.png", "train/B/x.png"},
               [&] { patients_of(files, {.csv = dir / "short.csv"}); });
  write_text(dir / "twice.csv", "file,patient\ny.png,kim\ny.png,lee\n");
  expect_error(ErrorKind::data, {"y.png has two patients"}, [&] { patients_of(files, {.csv = dir / "twice.csv"}); });
  write_text(dir / "none.csv", "file,patient\ny.png,\n");
  expect_error(ErrorKind::data, {"y.png has no patient"}, [&] { patients_of(files, {.csv = dir / "none.csv"}); });
  write_text(dir / "empty.csv", "");
  expect_error(ErrorKind::data, {"empty"}, [&] { patients_of(files, {.csv = dir / "empty.csv"}); });
  expect_error(ErrorKind::data, {"missing.csv", "No such file"}, [&] { patients_of(files, {.csv = dir / "missing.csv"}); });
}

TEST_CASE("the data hash is that of sha256sum and changes with every byte and name") {
  const TempDir dir;
  write_text(dir / "train/A/b.png", "two");
  write_text(dir / "train/A/a.png", "one");
  write_text(dir / "train/B/c.png", "three");
  const auto hash = [&] {
    Manifest m = read_folder(dir.path());
    const std::vector<int64_t> all = m.of(Part::train);
    Manifest again = m;
    CHECK(hash_files(m, all, 1) == hash_files(again, all, 3));
    const std::vector<int64_t> backwards(all.rbegin(), all.rend());
    CHECK(data_hash(m, backwards, hash_files(m, backwards, 1)) == data_hash(m, all, hash_files(m, all, 1)));
    return data_hash(m, all, hash_files(m, all, 3));
  };
  const std::string first = hash();
  const Finished shell = run({"sh", "-c", "cd '" + dir.path().string() + "' && sha256sum train/*/* | LC_ALL=C sort -k2 | sha256sum"});
  CHECK(shell.out.substr(0, 64) == first);
  write_text(dir / "train/A/a.png", "onf");
  const std::string second = hash();
  CHECK(second != first);
  fs::rename(dir / "train/A/a.png", dir / "train/A/aa.png");
  CHECK(hash() != second);
}

TEST_CASE("an epoch's order is a permutation that depends on seed and epoch and on nothing else") {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < 1000; ++i) indices.push_back(3 * i);
  const std::vector<int64_t> order = shuffled(indices, 5, 2);
  CHECK(order != indices);
  CHECK(std::is_permutation(order.begin(), order.end(), indices.begin(), indices.end()));
  CHECK(order == shuffled(indices, 5, 2));
  CHECK(order != shuffled(indices, 6, 2));
  CHECK(order != shuffled(indices, 5, 3));
  std::vector<int64_t> reversed(indices.rbegin(), indices.rend());
  CHECK(order == shuffled(reversed, 5, 2));
  std::vector<int64_t> fewer = indices, rest = order;  // leaving one out moves no other
  std::erase(fewer, 300), std::erase(rest, 300);
  CHECK(shuffled(fewer, 5, 2) == rest);
  CHECK(shuffled({4, 4, 4}, 1, 1) == std::vector<int64_t>{4, 4, 4});
  CHECK(shuffled({}, 1, 1).empty());
  double moved = 0;  // far from where they were: the mean distance of a random permutation is n/3
  for (size_t i = 0; i < order.size(); ++i) moved += std::fabs(double(order[i] / 3) - double(i));
  CHECK(close(moved / 1000, 1000.0 / 3, 30, 0));
}

TEST_CASE("parallel_for visits every index once and hands on what is thrown") {
  for (const int threads : {1, 2, 7}) {
    std::vector<std::atomic<int>> visits(500);
    parallel_for(threads, 500, [&](int64_t i) { ++visits[size_t(i)]; });
    CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& v) { return v == 1; }));
    CHECK_THROWS_AS(parallel_for(threads, 500,
                                 [&](int64_t i) {
                                   if (i == 77) fail(ErrorKind::data, "seventy-seven");
                                 }),
                    Error);
    CHECK_NOTHROW(parallel_for(threads, 0, [](int64_t) { FAIL("nothing to do"); }));
  }
}

TEST_CASE("float arrays survive .npy and NumPy's own header is read") {
  const TempDir dir;
  const std::vector<float> values = {0, -1.5f, 3e38f, 1e-40f, 5, 6};
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{6}, {2, 3}, {1, 2, 3, 1}}) {
    write_npy(dir / "a.npy", shape, values);
    const NpyArray got = ptrain::read_npy(dir / "a.npy");
    CHECK(got.shape == shape);
    CHECK(got.values == values);
    const Array other = test::read_npy(dir / "a.npy");  // the reader of the goldens
    CHECK(other.shape == shape);
    CHECK((fs::file_size(dir / "a.npy") - 24) % 64 == 0);
  }
  write_npy(dir / "a.npy", {0, 5}, {});
  CHECK(ptrain::read_npy(dir / "a.npy").values.empty());
  write_npy(dir / "a.npy", {}, std::vector<float>{7});
  CHECK(ptrain::read_npy(dir / "a.npy").values == std::vector<float>{7});
  NpyWriter pieces(dir / "p.npy", {3, 2});
  pieces.append(std::span(values).first(4));
  CHECK_FALSE(fs::exists(dir / "p.npy"));
  expect_error(ErrorKind::failed, {"2 values are missing"}, [&] { pieces.finish(); });
  expect_error(ErrorKind::failed, {"3 values for 2 places"}, [&] { pieces.append(std::span(values).first(3)); });
  pieces.append(std::span(values).last(2));
  pieces.finish();
  CHECK(ptrain::read_npy(dir / "p.npy").values == values);
}

TEST_CASE("a .npy file that is not what is wanted says so") {
  const TempDir dir;
  const auto file = [&](const std::string& header, const std::string& data, char version = 1) {
    std::string text = std::string("\x93NUMPY") + version + '\0' + char(header.size()) + char(header.size() >> 8);
    if (version > 1) text += std::string(2, '\0');
    write_text(dir / "x.npy", text + header + data);
    return dir / "x.npy";
  };
  const auto header = [](const std::string& type, const std::string& order, const std::string& shape) {
    return "{'descr': " + type + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
  };
  const std::string four(16, 'a');
  CHECK(ptrain::read_npy(file(header("'<f4'", "False", "(2, 2)"), four)).shape == std::vector<int64_t>{2, 2});
  CHECK(ptrain::read_npy(file(header("'<f4'", "False", "(2, 2)"), four, 2)).shape == std::vector<int64_t>{2, 2});
  CHECK(ptrain::read_npy(file(header("'<f4'", "False", "(4,)"), four, 3)).shape == std::vector<int64_t>{4});
  const auto bad = [&](std::vector<std::string> parts, const fs::path& path) {
    parts.push_back("x.npy");
    expect_error(ErrorKind::data, parts, [&] { ptrain::read_npy(path); });
  };
  bad({"'<f8'", "astype('float32')"}, file(header("'<f8'", "False", "(2,)"), four));
  bad({"'>f4'", "little-endian"}, file(header("'>f4'", "False", "(4,)"), four));
  bad({"[('a', '<f4')]"}, file(header("[('a', '<f4')]", "False", "(4,)"), four));
  bad({"Fortran", "ascontiguousarray"}, file(header("'<f4'", "True", "(2, 2)"), four));
  bad({"(5,) needs 20 bytes", "has 16"}, file(header("'<f4'", "False", "(5,)"), four));
  bad({"(3,) needs 12 bytes"}, file(header("'<f4'", "False", "(3,)"), four));
  bad({"more than any file"}, file(header("'<f4'", "False", "(4294967296, 4294967296, 4)"), four));
  bad({"more than any file"}, file(header("'<f4'", "False", "(9223372036854775807, 3)"), four));
  for (const char* shape : {"(-2, -2)", "(2 2)", "(x,)", "4", "(99999999999999999999,)", "(2, 2", ""})
    bad({"no legal shape"}, file(header("'<f4'", "False", shape), four));
  bad({"version 9"}, file(header("'<f4'", "False", "(4,)"), four, 9));
  write_text(dir / "x.npy", std::string("\x93NUMPY\1\0\xff\xff{", 11) + "aaaa");
  bad({"inside its header"}, dir / "x.npy");
  write_text(dir / "x.npy", "\x93NUM");
  bad({"not a .npy file"}, dir / "x.npy");
  write_text(dir / "x.npy", "PK something that is a zip file");
  bad({"not a .npy file"}, dir / "x.npy");
}

TEST_CASE("a file that cannot be saved leaves the old one as it was") {
  const TempDir dir;
  expect_error(ErrorKind::failed, {"saving", "none/a.npy", "No such file", "choose a folder"},
               [&] { write_npy(dir / "none/a.npy", {1}, std::vector<float>{1}); });
  write_text(dir / "a.npy", "old");
  {
    NpyWriter writer(dir / "a.npy", {1000});
    writer.append(std::vector<float>(10));
  }
  CHECK(read_file(dir / "a.npy") == "old");
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 1);  // no temporary file is left
}

}  // namespace ptrain::test
