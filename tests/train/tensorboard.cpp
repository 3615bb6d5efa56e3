// Event files are read back by a parser that shares nothing with the writer, and checked against bytes that TensorFlow wrote.
#include "train/tensorboard.hpp"

#include <cstring>
#include <limits>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/crc32c.hpp"

namespace ptrain {
namespace {

// CRC-32C bit by bit, polynomial 0x1EDC6F41 with reflected input and output.
uint32_t slow_crc(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

template <class T>
T at(const std::string& bytes, size_t offset) {
  T value;
  REQUIRE(offset + sizeof value <= bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Frames of a TFRecord file; every length and checksum is checked.
std::vector<std::string> records(const std::string& file) {
  const auto mask = [](uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; };
  std::vector<std::string> list;
  for (size_t offset = 0; offset < file.size();) {
    const uint64_t size = at<uint64_t>(file, offset);
    CHECK(at<uint32_t>(file, offset + 8) == mask(slow_crc(file.substr(offset, 8))));
    list.push_back(file.substr(offset + 12, size));
    CHECK(at<uint32_t>(file, offset + 12 + size) == mask(slow_crc(list.back())));
    offset += 16 + size;
  }
  return list;
}

// Field number -> values: the bytes of a length-delimited field, the 8 or 4 bytes of a fixed one, a varint as 8 bytes.
std::multimap<uint64_t, std::string> fields(const std::string& message) {
  std::multimap<uint64_t, std::string> result;
  size_t offset = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      REQUIRE(offset < message.size());
      const uint8_t byte = uint8_t(message[offset++]);
      value |= uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return value;
    }
  };
  while (offset < message.size()) {
    const uint64_t key = varint();
    std::string bytes(8, '\0');
    if (const uint64_t wire = key & 7; wire == 0) {
      const uint64_t value = varint();
      std::memcpy(bytes.data(), &value, 8);
    } else {
      const size_t size = wire == 1 ? 8 : wire == 5 ? 4 : wire == 2 ? varint() : 0;
      REQUIRE(offset + size <= message.size());
      bytes = message.substr(offset, size);
      offset += size;
    }
    result.emplace(key >> 3, bytes);
  }
  return result;
}

std::string only(const std::multimap<uint64_t, std::string>& message, uint64_t number) {
  REQUIRE(message.count(number) == 1);
  return message.find(number)->second;
}

}  // namespace

TEST_CASE("crc32c of the published vectors") {  // RFC 3720, B.4
  CHECK(crc32c("123456789") == 0xE3069283u);
  CHECK(crc32c("") == 0);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAu);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62A8AB43u);
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += char(i);
  CHECK(crc32c(ascending) == 0x46DD794Eu);
  CHECK(slow_crc(ascending) == 0x46DD794Eu);
}

TEST_CASE("the file begins with its version") {
  const test::TempDir temp;
  TensorboardWriter writer(temp.path(), {}, [] { return 1700000000.25; });
  const auto event = fields(records(test::read_file(writer.path()))[0]);
  CHECK(at<double>(only(event, 1), 0) == 1700000000.25);
  CHECK(only(event, 3) == "brain.Event:2");
  CHECK(writer.path().filename().string().starts_with("events.out.tfevents.1700000000."));
}

TEST_CASE("a scalar is byte for byte what TensorFlow writes") {
  // TensorFlow 2.21: tf.compat.v1.summary.FileWriter(...).add_summary(Summary with tag "loss" and simple_value 0.5, step 3), the whole record
  const char bytes[] =
      "\x1a\x00\x00\x00\x00\x00\x00\x00\x12\x9b\xd8-\t+\x9ak\x9b\x1d\xc1\xda"
      "A\x10\x03*\r\n\x0b\n\x04loss\x15\x00\x00\x00?\n\x1e\xb0+";
  const std::string want(bytes, sizeof bytes - 1);
  const double time = at<double>(want, 13);
  const test::TempDir temp;
  TensorboardWriter writer(temp.path(), {}, [time] { return time; });
  writer.scalars(3, {{"loss", 0.5}});
  CHECK(test::read_file(writer.path()).ends_with(want));
}

TEST_CASE("scalars are read back") {
  const test::TempDir temp;
  double now = 100;
  TensorboardWriter writer(temp / "tb", {}, [&] { return now; });
  now = 101.5;
  writer.scalars(0, {{"train/loss", 0.1}, {"val/auc", 0.9876}});
  writer.scalars(300, {{"train/loss", NAN}, {"a long tag " + std::string(200, 'x'), -INFINITY}});  // lengths of two bytes
  const auto list = records(test::read_file(writer.path()));
  REQUIRE(list.size() == 3);
  const auto event = fields(list[1]);
  CHECK(at<double>(only(event, 1), 0) == 101.5);
  CHECK(event.count(2) == 0);  // step 0
  std::map<std::string, float> values;
  for (const auto& [number, bytes] : fields(only(event, 5))) {
    CHECK(number == 1);
    values[only(fields(bytes), 1)] = at<float>(only(fields(bytes), 2), 0);
  }
  CHECK(values == std::map<std::string, float>{{"train/loss", 0.1f}, {"val/auc", 0.9876f}});
  const auto last = fields(list[2]);
  CHECK(at<int64_t>(only(last, 2), 0) == 300);
  int nan = 0, infinite = 0;
  for (const auto& [number, bytes] : fields(only(last, 5))) {
    const float v = at<float>(only(fields(bytes), 2), 0);
    nan += std::isnan(v), infinite += v == -std::numeric_limits<float>::infinity();
  }
  CHECK((nan == 1 && infinite == 1));
}

TEST_CASE("a resumed run writes a file of its own and forgets later points") {
  const test::TempDir temp;
  const auto clock = [] { return 5.0; };
  TensorboardWriter first(temp.path(), {}, clock);
  TensorboardWriter second(temp.path(), 42, clock);
  CHECK(first.path() != second.path());
  const auto list = records(test::read_file(second.path()));
  REQUIRE(list.size() == 2);
  const auto start = fields(list[1]);
  CHECK(at<int64_t>(only(start, 2), 0) == 42);
  CHECK(at<int64_t>(only(fields(only(start, 7)), 1), 0) == 1);  // SessionLog.START
}

TEST_CASE("a folder that cannot be made is named") {
  const test::TempDir temp;
  TensorboardWriter writer(temp.path());
  CHECK_THROWS_WITH_AS(TensorboardWriter(writer.path() / "below a file"), doctest::Contains("below a file"), Error);
}

}  // namespace ptrain
