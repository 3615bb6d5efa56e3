#include <zlib.h>

#include <array>

#include "layers/hdf5.hpp"
#include "layers/hdf5_lzf.hpp"

// Datasets of strangers: everything that could read elsewhere, allocate without bound or lead the library astray is refused first.
namespace ptrain::hdf5 {
namespace {

constexpr int64_t kMaxDim = int64_t(1) << 31, kMaxBytes = int64_t(1) << 34;  // of one dataset: 16 GiB
constexpr size_t kMaxFilters = 4;

[[noreturn]] void refuse(const std::string& name, const std::string& what) { fail(ErrorKind::weights, "dataset '", name, "' ", what); }

Element element_of(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_INTEGER) return Element::integer;
  if (kind == H5T_OPAQUE && H5Tget_size(type) == 2) return Element::opaque2;
  if (kind != H5T_FLOAT) return Element::other;
  const size_t size = H5Tget_size(type);
  size_t sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
  if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0) return Element::other;
  const auto is = [&](size_t bytes, size_t e, size_t m, size_t bias) {  // an IEEE 754 type of that size, in either byte order
    const H5T_order_t order = H5Tget_order(type);
    return size == bytes && H5Tget_precision(type) == 8 * bytes && H5Tget_offset(type) == 0 && sign == 8 * bytes - 1 && exponent == m &&
           exponent_bits == e && mantissa == 0 && mantissa_bits == m && H5Tget_ebias(type) == bias &&
           H5Tget_norm(type) == H5T_NORM_IMPLIED && (order == H5T_ORDER_LE || order == H5T_ORDER_BE);
  };
  if (is(2, 5, 10, 15)) return Element::float16;
  if (is(4, 8, 23, 127)) return Element::float32;
  if (is(8, 11, 52, 1023)) return Element::float64;
  return Element::other;
}

Shape shape_of(hid_t space, const std::string& name, int64_t element_bytes) {
  if (H5Sget_simple_extent_type(space) == H5S_NULL) refuse(name, "is empty");
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || rank > 4) refuse(name, concat("has ", rank, " dimensions; at most four are used"));
  std::array<hsize_t, 4> dims{};
  if (H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0) refuse(name, "has no readable shape: " + last_error());
  Shape shape;
  int64_t bytes = element_bytes;
  for (int i = 0; i < rank; ++i) {
    const hsize_t d = dims[size_t(i)];
    if (d > hsize_t(kMaxDim) || (d > 0 && bytes > kMaxBytes / int64_t(d))) refuse(name, "declares more than 16 GiB");
    shape.push_back(int64_t(d));
    bytes *= int64_t(d);
  }
  return shape;
}

std::array<hsize_t, 4> chunk_of(hid_t layout, const std::string& name, const Shape& shape) {
  std::array<hsize_t, 4> chunk{};
  if (H5Pget_chunk(layout, shape.rank(), chunk.data()) != shape.rank() || shape.rank() == 0) refuse(name, "has chunks of another rank");
  for (int i = 0; i < shape.rank(); ++i)
    if (chunk[size_t(i)] == 0) refuse(name, "has empty chunks");
  return chunk;
}

struct Filter {
  H5Z_filter_t id;
  bool skipped;  // for one chunk
};

std::vector<Filter> filters_of(hid_t layout, const std::string& name) {
  const int count = H5Pget_nfilters(layout);
  if (count < 0 || size_t(count) > kMaxFilters) refuse(name, concat("has ", count, " filters"));
  std::vector<Filter> list;
  int compressions = 0;
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0, config = 0, values[8] = {};
    size_t value_count = 8;
    const H5Z_filter_t id = H5Pget_filter2(layout, unsigned(i), &flags, &value_count, values, 0, nullptr, &config);
    if (id != H5Z_FILTER_DEFLATE && id != kLzf && id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32)
      refuse(name, concat("is packed by filter ", id, "; known are deflate (gzip), LZF, shuffle and fletcher32"));
    compressions += id == H5Z_FILTER_DEFLATE || id == kLzf;
    list.push_back({id, false});
  }
  if (compressions > 1) refuse(name, "is compressed twice");
  return list;
}

// The number of bytes that `packed` inflates to, at most `limit` + 1; -1 when it is no deflate stream.
int64_t inflated_size(const std::vector<char>& packed, size_t size, int64_t limit) {
  z_stream z{};
  if (inflateInit(&z) != Z_OK) return -1;
  std::array<Bytef, 1 << 16> sink;
  z.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data()));
  z.avail_in = uInt(size);
  int64_t total = 0;
  int status = Z_OK;
  while (status == Z_OK && total <= limit) {
    z.next_out = sink.data(), z.avail_out = uInt(sink.size());
    status = inflate(&z, Z_SYNC_FLUSH);
    total += int64_t(sink.size() - z.avail_out);
  }
  inflateEnd(&z);
  return status == Z_STREAM_END || total > limit ? total : -1;
}

// One stored chunk: must unpack to exactly `bytes`.
void check_chunk(const std::vector<char>& stored, size_t size, const std::vector<Filter>& filters, int64_t bytes, const std::string& name) {
  int64_t expected = bytes, after = 0;  // checksums of four bytes before the compression, and behind it
  H5Z_filter_t compression = 0;
  for (const Filter& f : filters) {
    if (f.skipped) continue;
    if (f.id == H5Z_FILTER_DEFLATE || f.id == kLzf) compression = f.id;
    if (f.id == H5Z_FILTER_FLETCHER32) (compression != 0 ? after : expected) += 4;
  }
  const int64_t payload = int64_t(size) - after;
  int64_t got = payload;
  if (payload >= 0 && compression == H5Z_FILTER_DEFLATE) got = inflated_size(stored, size_t(payload), expected);
  if (payload >= 0 && compression == kLzf) got = unpack_lzf(stored.data(), size_t(payload), nullptr, expected);
  if (got != expected) refuse(name, "has a chunk that does not unpack to its size");
}

}  // namespace

void check_chunks(hid_t dataset, const std::string& name, const Shape& shape, int64_t element_bytes, uint64_t file_bytes) {
  const Handle layout(H5Dget_create_plist(dataset), H5Pclose);
  const auto chunk = chunk_of(layout, name, shape);
  std::vector<Filter> filters = filters_of(layout, name);
  int64_t chunk_bytes = element_bytes;
  for (int i = 0; i < shape.rank(); ++i) {  // chunks a little larger than a small dataset are usual; a gigabyte for a bias is not
    chunk_bytes *= int64_t(std::min(chunk[size_t(i)], hsize_t(kMaxDim)));
    if (chunk_bytes > 4 * element_bytes * shape.size() + (1 << 20)) refuse(name, "has chunks far larger than itself");
  }
  std::vector<char> stored;
  std::array<hsize_t, 4> at{};
  while (at[0] < hsize_t(shape[0])) {
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    if (H5Dget_chunk_info_by_coord(dataset, at.data(), &mask, &address, &size) < 0)
      refuse(name, "has an unreadable index of chunks: " + last_error());
    if (address == HADDR_UNDEF) refuse(name, concat("declares the shape ", str(shape), " but does not store all of it"));
    if (size > file_bytes || address > file_bytes - size) refuse(name, "has a chunk beyond the end of the file");
    for (size_t i = 0; i < filters.size(); ++i) filters[i].skipped = mask >> i & 1;
    if (filters.empty()) {
      if (int64_t(size) != chunk_bytes) refuse(name, "has a chunk of another size");
    } else {
      stored.resize(std::max(stored.size(), size_t(size)));
      uint32_t read_mask = 0;
      if (H5Dread_chunk(dataset, H5P_DEFAULT, at.data(), &read_mask, stored.data()) < 0) refuse(name, "cannot be read: " + last_error());
      check_chunk(stored, size_t(size), filters, chunk_bytes, name);
    }
    for (int i = shape.rank() - 1; i >= 0; --i) {  // the next chunk, the last dimension first
      at[size_t(i)] += chunk[size_t(i)];
      if (i == 0 || at[size_t(i)] < hsize_t(shape[i])) break;
      at[size_t(i)] = 0;
    }
  }
}

Dataset open_dataset(Handle dataset, const std::string& name) {
  const Handle type(H5Dget_type(dataset), H5Tclose), space(H5Dget_space(dataset), H5Sclose), layout(H5Dget_create_plist(dataset), H5Pclose);
  if (!type || !space || !layout) refuse(name, "cannot be opened: " + last_error());
  Dataset d{.handle = {}, .shape = {}, .element = element_of(type)};
  const auto element_bytes = int64_t(H5Tget_size(type));
  if (element_bytes <= 0 || element_bytes > (1 << 20)) refuse(name, "has elements of a strange size");
  d.shape = shape_of(space, name, element_bytes);
  const auto declared = uint64_t(element_bytes * d.shape.size());
  const auto check_storage = [&](uint64_t bytes) {
    if (bytes != declared && d.element != Element::other)  // what nobody can read is refused for that, by the caller
      refuse(name, concat("declares ", declared, " bytes (shape ", str(d.shape), ") but stores ", bytes));
  };
  switch (H5Pget_layout(layout)) {
    case H5D_CONTIGUOUS: {
      if (H5Pget_external_count(layout) != 0) refuse(name, "has external storage (it would read another file)");
      check_storage(H5Dget_storage_size(dataset));
      const haddr_t offset = H5Dget_offset(dataset);
      if (offset == HADDR_UNDEF && declared > 0) check_storage(0);
      if (offset != HADDR_UNDEF) d.offset = uint64_t(offset);
      break;
    }
    case H5D_COMPACT: check_storage(H5Dget_storage_size(dataset)); break;
    case H5D_CHUNKED:
      filters_of(layout, name);
      d.chunk_rows = int64_t(std::min(chunk_of(layout, name, d.shape)[0], hsize_t(kMaxDim)));
      if (H5Dget_storage_size(dataset) < declared / 1100) check_storage(H5Dget_storage_size(dataset));  // deflate packs 1032 to 1 at best
      break;
    case H5D_VIRTUAL: refuse(name, "is virtual (it would read another file)");
    default: refuse(name, "has an unknown layout");
  }
  d.handle = std::move(dataset);
  return d;
}

void read_rows(const Dataset& d, const std::string& name, int64_t first, int64_t rows, hid_t memory_type, void* to) {
  const Handle space(H5Dget_space(d.handle), H5Sclose);
  std::array<hsize_t, 4> start{}, count{};
  for (int i = 0; i < d.shape.rank(); ++i) count[size_t(i)] = hsize_t(d.shape[i]);
  Handle memory(H5Screate(H5S_SCALAR), H5Sclose);
  if (d.shape.rank() > 0) {
    REQUIRE_THAT(first >= 0 && rows >= 0 && first + rows <= d.shape[0], "rows [", first, ", ", first + rows, ") of ", str(d.shape));
    start[0] = hsize_t(first), count[0] = hsize_t(rows);
    memory = Handle(H5Screate_simple(d.shape.rank(), count.data(), nullptr), H5Sclose);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0)
      refuse(name, "cannot be read: " + last_error());
  }
  if (H5Dread(d.handle, memory_type, memory, space, H5P_DEFAULT, to) < 0) refuse(name, "cannot be read: " + last_error());
}

}  // namespace ptrain::hdf5
