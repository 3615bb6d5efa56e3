// history.csv and metrics.jsonl: Keras' format, and what is left after a crash.
#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/csv_logger.hpp"
#include "train/json_lines.hpp"
#include "train/line_file.hpp"

namespace ptrain {
namespace {

using test::read_file;
using test::TempDir;

void write(const std::filesystem::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::string message(auto f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("numbers are printed as Python prints them") {  // Python 3.11: repr()
  const std::pair<double, const char*> table[] = {{0.1, "0.1"},
                                                  {1, "1.0"},
                                                  {-2.5, "-2.5"},
                                                  {0, "0.0"},
                                                  {-0.0, "-0.0"},
                                                  {100, "100.0"},
                                                  {1e-4, "0.0001"},
                                                  {1e-5, "1e-05"},
                                                  {1.234e-5, "1.234e-05"},
                                                  {5e-324, "5e-324"},
                                                  {1e15, "1000000000000000.0"},
                                                  {9999999999999998.0, "9999999999999998.0"},
                                                  {1e16, "1e+16"},
                                                  {1e22, "1e+22"},
                                                  {123456789012345680.0, "1.2345678901234568e+17"},
                                                  {1.7976931348623157e308, "1.7976931348623157e+308"},
                                                  {0.0010000000474974513, "0.0010000000474974513"},
                                                  {double(0.1f), "0.10000000149011612"},
                                                  {NAN, "nan"},
                                                  {INFINITY, "inf"},
                                                  {-INFINITY, "-inf"}};
  for (const auto& [value, want] : table) CHECK(python_repr(value) == want);
}

TEST_CASE("the history is the file that Keras writes") {
  // Keras 3.15.1: model.fit with ReduceLROnPlateau and CSVLogger, then fit(initial_epoch=2) with CSVLogger(append=True)
  const std::string want =
      "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\r\n"
      "0,0.4000000059604645,0.0010000000474974513,0.9229577779769897,0.4000000059604645,0.9217504262924194\r\n"
      "1,0.4000000059604645,0.0010000000474974513,0.9217504262924194,0.4000000059604645,0.9205449819564819\r\n"
      "2,0.4000000059604645,0.0010000000474974513,0.9205449819564819,0.4000000059604645,0.9193412661552429\r\n";
  const TempDir temp;
  const auto logs = [](double loss, double val_loss) {
    const double accuracy = double(0.4f), rate = double(1e-3f);
    return Logs{{"loss", loss}, {"accuracy", accuracy}, {"val_accuracy", accuracy}, {"val_loss", val_loss}, {"learning_rate", rate}};
  };
  {
    CsvLogger csv(temp / "history.csv");
    csv.on_epoch_end(0, logs(0.9229577779769897, 0.9217504262924194));
    CHECK(read_file(temp / "history.csv") == want.substr(0, want.find("\r\n1,") + 2));  // there at once
    csv.on_epoch_end(1, logs(0.9217504262924194, 0.9205449819564819));
  }
  CsvLogger(temp / "history.csv", 2).on_epoch_end(2, logs(0.9205449819564819, 0.9193412661552429));
  CHECK(read_file(temp / "history.csv") == want);
}

TEST_CASE("a history without validation has its columns all the same") {  // Keras: fit without validation_data
  const TempDir temp;
  CsvLogger csv(temp / "h.csv");
  csv.on_epoch_end(0, {{"loss", 0.5}, {"accuracy", 0.75}});
  csv.on_epoch_end(1, {{"loss", NAN}, {"val_loss", 2}, {"unknown", 1}});  // later names are dropped, as by Keras
  CHECK(read_file(temp / "h.csv") == "epoch,accuracy,loss,val_accuracy,val_loss\r\n0,0.75,0.5,NA,NA\r\n1,NA,nan,NA,2.0\r\n");
  CHECK_THROWS_AS(CsvLogger(temp / "x.csv").on_epoch_end(0, {{"a,b", 1}}), Error);
}

TEST_CASE("a history goes on after a crash") {
  const std::string head = "epoch,loss,val_loss\r\n", rows = "0,1.0,1.5\r\n1,0.5,1.25\r\n";
  const auto resumed = [&](const std::string& before, int64_t at) {
    const TempDir temp;
    write(temp / "h.csv", before);
    CsvLogger(temp / "h.csv", at).on_epoch_end(at, {{"loss", 0.25}, {"val_loss", 1}});
    return read_file(temp / "h.csv");
  };
  CHECK(resumed(head + rows, 2) == head + rows + "2,0.25,1.0\r\n");
  CHECK(resumed(head + rows + "2,0.4", 2) == head + rows + "2,0.25,1.0\r\n");                       // torn last line
  CHECK(resumed(head + rows + "2,0.4,9.0\r\n3,1.0,1.0\r\n", 2) == head + rows + "2,0.25,1.0\r\n");  // rows that are written again
  CHECK(resumed(head + "0,1.0,1.5\r\n" + std::string(3, '\0') + "\r\n", 1) == head + "0,1.0,1.5\r\n1,0.25,1.0\r\n");
  CHECK(resumed("epoch,loss,val_loss\n0,1.0,1.5\n", 1) == "epoch,loss,val_loss\n0,1.0,1.5\n1,0.25,1.0\r\n");
  CHECK(resumed(head, 0) == head + "0,0.25,1.0\r\n");
  CHECK(resumed("epoch,lo", 0) == head + "0,0.25,1.0\r\n");  // torn header
  CHECK(resumed("", 0) == head + "0,0.25,1.0\r\n");
  const TempDir temp;
  CsvLogger(temp / "new.csv", 5).on_epoch_end(5, {{"loss", 1}, {"val_loss", 2}});  // none there
  CHECK(read_file(temp / "new.csv") == head + "5,1.0,2.0\r\n");
}

TEST_CASE("a file that is no history of this run is not touched") {
  const TempDir temp;
  write(temp / "h.csv", "my,own,table\n1,2,3\n");
  CHECK(message([&] { CsvLogger(temp / "h.csv", 0); }).find("not a training history") != std::string::npos);
  CHECK(read_file(temp / "h.csv") == "my,own,table\n1,2,3\n");
  write(temp / "old.csv", "epoch,loss\r\n0,1.0\r\n");
  CsvLogger csv(temp / "old.csv", 1);
  CHECK(message([&] { csv.on_epoch_end(1, {{"loss", 1}, {"val_auc", 1}}); }).find("val_auc") != std::string::npos);
  CHECK(read_file(temp / "old.csv") == "epoch,loss\r\n0,1.0\r\n");
}

TEST_CASE("a log of objects is read back line by line") {
  const TempDir temp;
  {
    JsonLines log(temp / "m.jsonl");
    log.write({{"epoch", 0}, {"loss", 0.1}, {"text", "two\nlines"}});
    log.write({{"epoch", 1}, {"loss", NAN}});
    CHECK(read_file(temp / "m.jsonl") == "{\"epoch\":0,\"loss\":0.1,\"text\":\"two\\nlines\"}\n{\"epoch\":1,\"loss\":null}\n");
    CHECK_THROWS_AS(log.write(nlohmann::ordered_json::array()), Error);
    log.write({{"text", "bad \xff utf-8"}});
  }
  const std::string whole = read_file(temp / "m.jsonl");
  const auto resumed = [&](const std::string& before, int64_t at) {
    write(temp / "r.jsonl", before);
    JsonLines(temp / "r.jsonl", at).write({{"epoch", at}});
    return read_file(temp / "r.jsonl");
  };
  const std::string first = "{\"epoch\":0,\"loss\":1}\n", stage = "{\"stage\":\"head\"}\n";
  CHECK(resumed(stage + first + "{\"epoch\":1}\n", 1) == stage + first + "{\"epoch\":1}\n");
  CHECK(resumed(stage + first + "{\"epoch\":1,\"lo", 1) == stage + first + "{\"epoch\":1}\n");
  CHECK(resumed(stage + first + "\n", 1) == stage + first + "{\"epoch\":1}\n");
  CHECK(resumed(first + "[1]\n" + first, 1) == first + "{\"epoch\":1}\n");
  CHECK(resumed(whole, 2) == whole + "{\"epoch\":2}\n");
}

TEST_CASE("a full disk or a missing folder is named") {
  const TempDir temp;
  CHECK(message([&] { LineFile(temp / "no/such/folder.csv"); }).find("folder.csv") != std::string::npos);
  if (!std::filesystem::exists("/dev/full")) return;
  LineFile full("/dev/full");
  CHECK(message([&] { full.write("x\n"); }).find("No space left") != std::string::npos);
}

}  // namespace ptrain
